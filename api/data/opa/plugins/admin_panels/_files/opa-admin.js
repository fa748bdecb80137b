// What starlette-admin has in attributes of its templates, where our policy lets no script run.
document.addEventListener("change", function (event) {
  if (event.target.matches("select[data-opa-go]")) window.location.assign(event.target.value);
});
document.addEventListener("click", function (event) {
  if (event.target.closest('[data-opa-click="columns"]')) applyColumnVisibility();
});

// The names of what is chosen in a relation. An option stays what it is, chosen or not: the user may have chosen another.
document.querySelectorAll("select[data-opa-initial]").forEach(function (select) {
  const keys = JSON.parse(select.dataset.opaInitial);
  const query = keys.map((key) => "pks=" + encodeURIComponent(key)).join("&");
  $.ajax({ url: select.dataset.url + "?" + query, dataType: "json" }).then(function (found) {
    for (const item of found.items) {
      const key = String(item[select.dataset.pk]);
      const old = Array.from(select.options).find((option) => option.value === key);
      if (!old) continue;
      old.replaceWith(new Option(item._meta.select2.selection, key, old.defaultSelected, old.selected));
    }
    $(select).trigger("change");
  });
});

// Fields that scripts put in the place of others have the names of these, whenever they come.
function nameFields() {
  document.querySelectorAll("form label[for]").forEach(function (label) {
    const field = document.getElementById(label.htmlFor);
    const shown = field && field.parentElement.querySelector(".select2-selection--multiple, input.flatpickr-input ~ input");
    if (shown && !shown.hasAttribute("aria-label")) shown.setAttribute("aria-label", label.textContent.trim());
  });
}
new MutationObserver(nameFields).observe(document.body, { childList: true, subtree: true });

// Before a form is sent, the server is asked whether it would take it. What was typed stays on the page if the session
// has ended meanwhile: nothing of it is kept anywhere else, and its secrets need not be typed again.
const opaStart = document.currentScript.dataset.opaStart;
document.addEventListener("submit", function (event) {
  const form = event.target;
  if (form.method !== "post" || form.enctype !== "multipart/form-data") return;
  if (form.dataset.opaAsked) {
    delete form.dataset.opaAsked;
    return;
  }
  event.preventDefault();
  event.stopImmediatePropagation();  // else the page would say that it is loading
  if (form.dataset.opaAsking) return;
  form.dataset.opaAsking = "yes";
  const button = event.submitter;
  whyNotSaved().then(function (why) {
    delete form.dataset.opaAsking;
    showWhyNotSaved(form, why);
    if (why) return;
    form.dataset.opaAsked = "yes";
    form.requestSubmit(button);
    delete form.dataset.opaAsked;  // where the browser has found a field that is not right
  });
}, true);
async function whyNotSaved() {
  let answer;
  try {
    answer = await fetch(opaStart, { redirect: "manual", cache: "no-store", headers: { Accept: "text/html" } });
  } catch {
    return { text: "This is not saved: the server does not answer. Save again in a moment." };
  }
  if (answer.type === "opaqueredirect" || answer.status === 401) {
    return { text: "This is not saved: you are not signed in any more. Sign in, and then save again here.", link: "Sign in" };
  }
  if (!answer.ok) return { text: `This is not saved: the server answers ${answer.status}. Save again in a moment.` };
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  const found = page.querySelector(".opa-who"), shown = document.querySelectorAll(".opa-who");
  const now = found ? found.textContent : "", before = shown.length ? shown[0].textContent : "";
  if (now === before) return null;
  shown.forEach((each) => { each.textContent = now; });
  return { text: `This is not saved: ${before} has opened this form, and ${now} is signed in now. Save again to save it as ${now}.` };
}
function showWhyNotSaved(form, why) {
  form.querySelectorAll(".opa-not-saved").forEach((each) => each.remove());
  if (!why) return;
  const notice = document.createElement("div");
  notice.className = "alert alert-warning opa-not-saved m-3";
  notice.setAttribute("role", "alert");
  notice.textContent = why.text + " ";
  if (why.link) {
    const link = document.createElement("a");
    Object.assign(link, { href: opaStart, target: "_blank", rel: "noopener", textContent: `${why.link} (in a new tab)` });
    notice.append(link);
  }
  const footer = form.querySelector(".card-footer");
  if (footer) footer.before(notice);
  else form.append(notice);  // of a page of a plugin
  notice.scrollIntoView({ block: "nearest" });
}

// A form is sent once, however often its button is clicked; again after a step back in the browser.
document.addEventListener("submit", function (event) {
  if (event.defaultPrevented || event.target.method !== "post") return;
  if (event.target.dataset.opaSent) event.preventDefault();
  event.target.dataset.opaSent = "yes";
});
window.addEventListener("pageshow", function () {
  document.querySelectorAll("form[data-opa-sent]").forEach((form) => delete form.dataset.opaSent);
});

// A key is a text: jQuery makes of "[1]" a list, whose text is the key of another row.
document.querySelectorAll("tr[data-sa-pk]").forEach((row) => $(row).data("sa-pk", row.dataset.saPk));
