"use strict";
// Before anything is painted: with scripts the cards wait for their turn, and the theme is the one that was chosen.
document.documentElement.classList.add("js");
try {
  const theme = localStorage.getItem("memaudit-theme");
  if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
} catch { /* no storage for files in this browser */ }
