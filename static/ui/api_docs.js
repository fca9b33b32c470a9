addEventListener("load",()=>{const at=document.getElementById("api");window.SwaggerUIBundle({url:at.dataset.schema,domNode:at,validatorUrl:null})});
