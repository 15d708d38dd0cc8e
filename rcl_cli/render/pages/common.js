const data = JSON.parse(/** @type {HTMLElement} */ (document.getElementById("data")).textContent);
/** @param {string} id */
const at = id => document.getElementById(id);
