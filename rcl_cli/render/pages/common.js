const data = JSON.parse(document.getElementById("data").textContent);
const at = id => document.getElementById(id);
