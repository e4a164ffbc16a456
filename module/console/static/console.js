// Every page works without this file. It freshens what has a data-live attribute.
"use strict";

const every = 2000;
const live = document.querySelectorAll("[data-live]");
const pause = document.getElementById("pause");
const said = document.getElementById("said");
let paused = false;
let known = new Set(keysOf(document));

function keysOf(root) {
	return Array.from(root.querySelectorAll("#refused tr[data-key]"), (row) => row.dataset.key);
}

// Only what is different is replaced, and who stands on a link in it keeps standing there.
function replace(fresh) {
	const at = document.activeElement && document.activeElement.id;
	for (const old of live) {
		const next = fresh.getElementById(old.id);
		if (next && next.innerHTML !== old.innerHTML) {
			old.replaceChildren(...next.childNodes);
		}
	}
	const again = at && document.getElementById(at);
	if (again && again !== document.activeElement) {
		again.focus({ preventScroll: true });
	}
}

function say(fresh) {
	const rows = Array.from(fresh.querySelectorAll("#refused tr[data-key]")).filter((row) => !known.has(row.dataset.key));
	if (said && rows.length > 0) {
		const more = rows.length > 1 ? ` and ${rows.length - 1} more` : "";
		said.textContent = `${rows[0].dataset.say}${more}`;
	}
	known = new Set(keysOf(fresh));
}

async function freshen() {
	if (paused || document.hidden) {
		return;
	}
	try {
		const answer = await fetch(location.pathname + location.search, { cache: "no-store", redirect: "error" });
		if (!answer.ok) {
			throw new Error(String(answer.status));
		}
		const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
		if (paused) {
			return;
		}
		say(fresh);
		replace(fresh);
		document.body.classList.remove("stale");
	} catch {
		document.body.classList.add("stale");
	}
}

async function keepFresh() {
	await freshen();
	setTimeout(keepFresh, every);
}

if (live.length > 0) {
	setTimeout(keepFresh, every);
	document.addEventListener("visibilitychange", freshen);
}

if (pause) {
	pause.hidden = false;
	pause.setAttribute("aria-pressed", "false");
	pause.addEventListener("click", () => {
		paused = !paused;
		pause.setAttribute("aria-pressed", String(paused));
		freshen();
	});
}
