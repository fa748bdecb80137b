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
