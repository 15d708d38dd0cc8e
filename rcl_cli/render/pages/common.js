const data = JSON.parse(document.getElementById("data").textContent);
const at = id => document.getElementById(id);
const figure = value => value.toFixed(3);
