/* plgops prompts: shows the one message that is due for a user of your product.
 *
 * <script async src="//your-plgops.example/v1/prompts.js" data-key="plg_…" data-user="u1" data-token="…"></script>
 *
 * data-token is made by your backend with the source's signing secret (docs/plays.md); set it anew when it expires.
 * data-dismiss: the words of the button that closes, if not "Not now".
 * data-manual: nothing is asked for by itself. plgopsPrompts.show("feature_gate") asks at a moment,
 * plgopsPrompts.converted(id) says that the user did what the prompt asked. On window: plgops:prompt with what happened.
 * Colours and shape: --plgops-accent, -on-accent, -surface, -ink, -muted, -line, -radius, -font, -z on :root.
 */
(() => {
  "use strict";
  const own = document.currentScript;
  const data = own ? own.dataset : {};
  const host = data.host || (own ? new URL(own.src, location.href).origin : "");
  const CSS = `
:host{all:initial;color-scheme:light dark}
*{box-sizing:border-box}
.box{--a:var(--plgops-accent,#4a4fd4);--s:var(--plgops-surface,light-dark(#fff,#1c1d22));--i:var(--plgops-ink,light-dark(#1d1f26,#eeeef2));
--m:var(--plgops-muted,light-dark(#555a66,#b3b6c0));--l:var(--plgops-line,light-dark(#d9dbe2,#3a3c45));
font:400 15px/1.5 var(--plgops-font,system-ui,sans-serif);color:var(--i);background:var(--s);border:1px solid var(--l);
border-radius:var(--plgops-radius,12px);box-shadow:0 12px 40px rgb(0 0 0/.22);z-index:var(--plgops-z,2147483000);animation:in .18s ease-out}
.banner{position:fixed;inset:auto 16px 16px;max-width:760px;margin:0 auto;display:flex;flex-wrap:wrap;gap:10px 20px;align-items:center;padding:14px 16px}
.banner .t{flex:1 1 260px}
dialog.box{max-width:min(440px,calc(100vw - 32px));padding:24px}
dialog::backdrop{background:rgb(0 0 0/.45)}
h2{font:600 17px/1.35 var(--plgops-font,system-ui,sans-serif);margin:0}
p{margin:4px 0 0;color:var(--m);overflow-wrap:anywhere}
.f{display:flex;flex-wrap:wrap;gap:8px;justify-content:flex-end}
dialog .f{margin-top:20px}
.b{font:600 14px/1 var(--plgops-font,system-ui,sans-serif);min-height:40px;padding:0 16px;display:inline-flex;align-items:center;border-radius:calc(var(--plgops-radius,12px)*.6);cursor:pointer;text-decoration:none;border:1px solid transparent;background:none;color:var(--i)}
.go{background:var(--a);color:var(--plgops-on-accent,#fff)}
.no{border-color:var(--l)}
.b:focus-visible{outline:3px solid var(--a);outline-offset:2px}
@keyframes in{from{opacity:0;transform:translateY(8px)}}
@media (prefers-reduced-motion:reduce){.box{animation:none}}
@media (forced-colors:active){.b{border-color:ButtonText}}`;
  let open = null;
  let before = null; // what had the focus before a banner took it

  const tell = (prompt, event) => {
    window.dispatchEvent(new CustomEvent("plgops:prompt", { detail: { event, prompt } }));
    if (data.sample) return;
    const body = JSON.stringify({ user: data.user, prompt: prompt.id, event, writeKey: data.key, token: data.token });
    fetch(`${host}/v1/prompts/events`, { method: "POST", body, keepalive: true }).catch(() => {});
  };

  const make = (name, className, text) => {
    const element = document.createElement(name);
    if (className) element.className = className;
    if (text) element.textContent = text;
    return element;
  };

  const address = (url) => {
    try {
      const found = new URL(url, location.href);
      return /^https?:$/.test(found.protocol) ? found.href : "";
    } catch {
      return "";
    }
  };

  const render = (prompt) => {
    if (open) return;
    const modal = prompt.style === "modal";
    const outer = make("div");
    const root = outer.attachShadow({ mode: "open" });
    const sheet = new CSSStyleSheet();
    sheet.replaceSync(CSS);
    root.adoptedStyleSheets = [sheet];
    const box = make(modal ? "dialog" : "section", modal ? "box" : "box banner");
    const words = make("div", "t");
    const head = make("h2", "", prompt.headline);
    head.id = "h";
    words.append(head);
    box.setAttribute("aria-labelledby", "h");
    if (prompt.body) {
      const body = make("p", "", prompt.body);
      body.id = "p";
      words.append(body);
      box.setAttribute("aria-describedby", "p");
    }
    const foot = make("div", "f");
    const close = (event) => {
      if (open !== outer) return;
      open = null;
      if (modal && box.open) box.close();
      const had = document.activeElement === outer;
      outer.remove();
      if (had && before && before.isConnected) before.focus();
      tell(prompt, event);
    };
    const no = make("button", "b no", data.dismiss || "Not now");
    no.type = "button";
    no.addEventListener("click", () => close("dismissed"));
    const to = prompt.url && address(prompt.url);
    const go = make(to ? "a" : "button", "b go", prompt.button || "Go on");
    if (to) go.href = to;
    else go.type = "button";
    go.addEventListener("click", () => close("clicked"));
    foot.append(no, go);
    box.append(words, foot);
    box.addEventListener("cancel", (event) => {
      event.preventDefault();
      close("dismissed");
    });
    box.addEventListener("focusin", (event) => {
      if (!modal && event.relatedTarget && !box.contains(event.relatedTarget)) before = event.relatedTarget;
    });
    box.addEventListener("keydown", (event) => {
      if (event.key === "Escape" && !modal) close("dismissed");
    });
    open = outer;
    before = null;
    if (modal) {
      root.append(box);
      document.body.append(outer);
      box.showModal();
      go.focus();
    } else {
      const live = make("div");
      live.setAttribute("role", "status");
      root.append(live);
      document.body.append(outer);
      requestAnimationFrame(() => live.append(box)); // a change that screen readers hear
    }
    tell(prompt, "seen");
  };

  const show = async (moment) => {
    if (open || data.sample || !data.key || !data.user) return null;
    const query = new URLSearchParams({ user: data.user });
    if (moment) query.set("moment", moment);
    try {
      const answer = await fetch(`${host}/v1/prompts?${query}`, {
        headers: { authorization: `Bearer ${data.key}`, "x-user-token": data.token || "" },
      });
      if (!answer.ok) return null;
      const { prompt } = await answer.json();
      if (prompt) render(prompt);
      return prompt;
    } catch {
      return null; // your page goes on without it
    }
  };

  window.plgopsPrompts = { show, converted: (id) => tell({ id }, "converted") };
  const begin = () => {
    if (data.sample) render(JSON.parse(document.getElementById(data.sample).textContent));
    else if (!("manual" in data)) show("");
  };
  if (document.body) begin();
  else addEventListener("DOMContentLoaded", begin);
})();
