// Copy buttons. They are hidden until this runs: the page needs no script.
"use strict";

const said = document.getElementById("said");

for (const button of document.querySelectorAll("button[data-copies]")) {
  const source = document.getElementById(button.dataset.copies);
  if (!source || !navigator.clipboard) continue;
  const label = button.textContent;
  button.hidden = false;
  button.addEventListener("click", async () => {
    let answer = "Copied";
    try {
      await navigator.clipboard.writeText(source.textContent);
    } catch {
      getSelection().selectAllChildren(source);
      answer = "Selected";
    }
    button.textContent = answer;
    if (said) said.textContent = answer;
    setTimeout(() => {
      button.textContent = label;
      if (said) said.textContent = "";
    }, 2000);
  });
}
