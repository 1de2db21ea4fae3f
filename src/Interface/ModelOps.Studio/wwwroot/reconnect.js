// The connection to the server is taken up again by itself. A server that was restarted no longer knows the page: it is loaded anew, and what
// was typed is put back.
const kept = `modelops-typed:${location.pathname}`;
const fields = () => [...document.querySelectorAll('[data-keep]')].flatMap(e => (e.matches('input, textarea') ? [e] : [...e.querySelectorAll('input, textarea')]).map(f => [e.dataset.keep, f]));

function keep() {
  const typed = Object.fromEntries(fields().map(([name, field]) => [name, field.value]).filter(([, value]) => value));
  if (Object.keys(typed).length) sessionStorage.setItem(kept, JSON.stringify(typed));
}

function putBack() {
  const stored = sessionStorage.getItem(kept);
  if (!stored) return;
  sessionStorage.removeItem(kept);
  const typed = JSON.parse(stored);
  const fill = () => {
    for (const [name, field] of fields()) {
      if (!(name in typed)) continue;
      if (!field.value) {
        field.value = typed[name];
        field.dispatchEvent(new Event('input', { bubbles: true }));
        field.dispatchEvent(new Event('change', { bubbles: true }));
      }
      delete typed[name];
    }
    return Object.keys(typed).length === 0;
  };
  if (fill()) return;
  const observer = new MutationObserver(() => { if (fill()) observer.disconnect(); });
  observer.observe(document.body, { childList: true, subtree: true });
  setTimeout(() => observer.disconnect(), 30000);
}

// What is kept in the tab is of whoever is signed in.
document.addEventListener('submit', event => { if (event.target.getAttribute('action') === 'sign-out') sessionStorage.clear(); });

const modal = document.getElementById('components-reconnect-modal');
let again;
modal.addEventListener('components-reconnect-state-changed', event => {
  clearTimeout(again);
  switch (event.detail.state) {
    case 'show':
      if (!modal.open) modal.showModal();
      break;
    case 'hide':
      modal.close();
      break;
    case 'failed':
      again = setTimeout(retry, 2000);
      break;
    case 'rejected':
      keep();
      location.reload();
      break;
  }
});

async function retry() {
  try {
    if (await Blazor.reconnect()) return;
    keep();
    location.reload();
  } catch {
    again = setTimeout(retry, 2000);
  }
}

putBack();
