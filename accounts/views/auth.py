"""Log in and out, change the password, and one's own profile."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.contrib.auth import views as auth_views
from django.contrib.auth.decorators import login_required
from django.core.exceptions import ValidationError
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse_lazy
from django.utils import timezone
from django.views.decorators.http import require_GET, require_POST

from accounts.forms import LoginForm, PasswordForm
from accounts.models import StaffUser
from accounts.team import audit
from accounts.team.requests import StaffRequest
from plgops.lib import access


class LoginView(auth_views.LoginView):
    """Log in. After too many failures for a name from an address, refused for a while."""

    template_name = "auth/login.html"
    authentication_form = LoginForm
    redirect_authenticated_user = True

    def get_form_kwargs(self) -> dict[str, Any]:
        return super().get_form_kwargs() | {"now": timezone.now()}


class PasswordView(auth_views.PasswordChangeView):
    """Change one's own password; the session stays, others end."""

    template_name = "auth/password.html"
    form_class = PasswordForm
    success_url = reverse_lazy("profile")

    def form_valid(self, form: Any) -> HttpResponse:
        response = super().form_valid(form)
        user = form.user
        audit.record(action="staff.password_changed", obj=user, by=user, now=timezone.now())
        messages.success(self.request, "Your password was changed.")
        return response


@require_GET
@login_required
def profile(request: StaffRequest) -> HttpResponse:
    """Who I am here, what I may do, and how pages should look."""
    roles = access.roles_of(request.user)
    may = [access.ABILITIES[capability] for capability, allowed in access.CAPABILITIES.items() if allowed & roles]
    context = {
        "roles": sorted(roles),
        "may": may,
        "themes": StaffUser.Theme,
        "densities": StaffUser.Density,
        "may_read": access.may(request.user, "accounts.view"),
    }
    return render(request, "auth/profile.html", context)


PREFERENCES = {"theme": "theme", "density": "density", "keys": "single_key_shortcuts"}


@require_POST
@login_required
def preferences(request: StaffRequest) -> HttpResponse:
    """Save theme, density or shortcuts: whichever was sent. 204 for scripts, back to the profile for forms."""
    user = StaffUser.objects.get(pk=request.user.pk)
    changed = [name for name in PREFERENCES if name in request.POST]
    for name in changed:
        value: str | bool = request.POST[name]
        setattr(user, PREFERENCES[name], value == "on" if name == "keys" else value)
    try:
        user.clean_fields(exclude={f.name for f in user._meta.fields} - {PREFERENCES[name] for name in changed})
    except ValidationError:
        return HttpResponse("That is not one of the choices.", content_type="text/plain", status=400)
    user.save(update_fields=[PREFERENCES[name] for name in changed])
    if "back" in request.POST:
        messages.success(request, "Your preferences are saved.")
        return redirect("profile")
    return HttpResponse(status=204)
