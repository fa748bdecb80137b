const orders = await (await fetch("/orders")).json();
const list = document.getElementById("orders");
for (const order of orders) {
  const entry = document.createElement("li");
  entry.textContent = `${order.item}: ${order.state}`;
  entry.className = order.state;
  list.append(entry);
}
