// Before anything is drawn: the theme that was chosen, or the system's, where the server and the style sheet see it.
(() => {
  const chosen = /(?:^|; )modelops-theme=(dark|light)/.exec(document.cookie);
  const theme = chosen ? chosen[1] : matchMedia('(prefers-color-scheme: dark)').matches ? 'dark' : 'light';
  if (!chosen) document.cookie = `modelops-theme=${theme}; path=/; max-age=31536000; samesite=lax; secure`;
  document.documentElement.dataset.theme = theme;
})();
