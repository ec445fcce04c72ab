// On a phone a row of tabs is wider than the screen: bring the one of this page in.
for (const tab of document.querySelectorAll("nav.tabs [aria-current]")) tab.scrollIntoView({ block: "nearest", inline: "center" });
