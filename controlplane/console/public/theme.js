// Runs before the first paint, so that a chosen theme never flashes the other one. A file of its own: the content
// policy allows no inline script.
;(function () {
  var choice = null
  try {
    choice = localStorage.getItem('headrace.theme')
  } catch {
    // Storage may be switched off; the system's theme then decides.
  }
  if (choice === 'light' || choice === 'dark') document.documentElement.dataset.theme = choice
})()
