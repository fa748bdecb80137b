// What starlette-admin has in attributes of its templates, where our policy lets no script run.
document.addEventListener("change", function (event) {
  if (event.target.matches("select[data-opa-go]")) window.location.assign(event.target.value);
});
document.addEventListener("click", function (event) {
  if (event.target.closest('[data-opa-click="columns"]')) applyColumnVisibility();
});
