// The page's whole behaviour: pick a character, talk, stop, start anew. Nothing is stored but the token, for this tab.
// Text reaches the page as text nodes only, so that nothing a character says can become markup.

const $ = (id) => document.getElementById(id);
const scroll = $("scroll"), log = $("log"), text = $("text"), settings = $("settings");

let models = [];
let history = [];          // {role, content}, as the server wants them
let running = null;        // the AbortController of the reply that is being spoken
let seed = 0;              // draws the card's random macros, the same for one conversation

async function start() {
  takeToken();
  if (!await load()) return;
  $("character").replaceChildren(...models.map((model) => new Option(model.persona.name, model.id)));
  for (const id of ["character", "reset", "text", "send"]) $(id).disabled = false;
  reset();
}

// The characters, with greetings for the name that the settings say.
async function load() {
  try {
    const answer = await ask(`/v1/models?user_name=${encodeURIComponent(userName())}`);
    models = (await answer.json()).data.filter((model) => model.persona);
    return true;
  } catch (problem) {
    show(problem.message);
    return false;
  }
}

// The token comes behind `#token=`, which browsers do not send anywhere, and goes from the address at once.
function takeToken() {
  const given = new URLSearchParams(location.hash.slice(1)).get("token");
  if (!given) return;
  sessionStorage.setItem("token", given);
  window.history.replaceState(null, "", location.pathname);
}

async function ask(path, options = {}) {
  const token = sessionStorage.getItem("token");
  const headers = { "Content-Type": "application/json", ...(token && { Authorization: `Bearer ${token}` }) };
  let answer;
  try {
    answer = await fetch(path, { ...options, headers });
  } catch (problem) {
    if (problem.name === "AbortError") throw problem;
    throw new Error("The server does not answer. Is it still running?");
  }
  if (answer.ok) return answer;
  if (answer.status === 401) throw new Error("This server wants its token: open this page with #token=YOUR-TOKEN behind its address.");
  const said = await answer.json().catch(() => null);
  throw new Error(said?.error?.message ?? `The server answered ${answer.status}.`);
}

const userName = () => $("user-name").value.trim() || $("user-name").placeholder;
const character = () => models.find((model) => model.id === $("character").value);

function reset() {
  running?.abort();
  history = [];
  seed = Math.floor(Math.random() * 2 ** 31);
  log.replaceChildren();
  show("");
  const { name, greeting, base, adapter } = character().persona;
  document.title = `${name} · Persona`;
  $("base").textContent = `${base}${adapter ? " with adapter" : ""}`;
  text.placeholder = `Say something to ${name}`;
  if (greeting) {
    history.push({ role: "assistant", content: greeting });
    write(addTurn("assistant", name), greeting);
  }
  text.focus({ preventScroll: true });
}

async function say(content) {
  const { id, persona } = character();
  const mine = addTurn("user", "You");
  write(mine, content);
  history.push({ role: "user", content });
  const turn = addTurn("assistant", persona.name);
  turn.setAttribute("aria-busy", "true");
  const controller = running = new AbortController();
  busy(true);
  show("");
  toEnd();
  const reply = { text: "", report: null };
  try {
    await receive(id, reply, (so_far) => write(turn, so_far), controller.signal);
  } catch (problem) {
    if (problem.name !== "AbortError" && running === controller) show(problem.message);
  }
  if (running !== controller) return;   // another conversation began meanwhile
  running = null;
  turn.removeAttribute("aria-busy");
  if (reply.text) {
    history.push({ role: "assistant", content: reply.text });
  } else {                              // nothing was said: the message goes back to where it can be sent again
    history.pop();
    turn.remove();
    mine.remove();
    text.value ||= content;
  }
  if (reply.report) explain(turn, persona.name, reply.report);
  busy(false);
}

async function receive(model, reply, tell, signal) {
  const body = { model, messages: history, stream: true, ...chosen() };
  const answer = await ask("/v1/chat/completions", { method: "POST", body: JSON.stringify(body), signal });
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "", done = false;
  while (!done) {
    const part = await reader.read();
    if (part.done) break;
    const lines = (rest + part.value).split("\n");
    rest = lines.pop();
    for (const line of lines.filter((line) => line.startsWith("data:"))) {
      const data = line.slice(5).trim();
      if (data === "[DONE]") { done = true; break; }
      const event = JSON.parse(data);
      if (event.error) throw new Error(event.error.message);
      reply.report = event.persona ?? reply.report;
      const piece = event.choices?.[0]?.delta?.content;
      if (piece) tell(reply.text += piece);
    }
  }
  if (!done) throw new Error("The server broke off.");
}

// What the settings say: only fields that are filled and valid are sent.
function chosen() {
  const values = {};
  for (const field of settings.querySelectorAll("input[name]")) {
    if (field.value !== "" && field.validity.valid) values[field.name] = Number(field.value);
  }
  return { ...values, persona: { seed, user_name: userName() } };
}

function addTurn(role, name) {
  const turn = make("article", "turn " + role);
  const who = make("p", "who", name);
  if (role === "user") who.classList.add("hidden");
  turn.append(who, make("p", "text"));
  log.append(turn);
  return turn;
}

// Words between *asterisks* are what a character does.
function write(turn, content) {
  const atEnd = scroll.scrollHeight - scroll.scrollTop - scroll.clientHeight < 80;
  const parts = content.split(/\*([^*\n]+)\*/);
  turn.querySelector(".text").replaceChildren(...parts.map((part, place) => (place % 2 ? make("em", "", part) : part)));
  if (atEnd) toEnd();
}

function explain(turn, name, report) {
  const lines = [
    report.lore.length ? `Lore: ${report.lore.join(", ")}` : "No lore was called.",
    ...report.dropped.map((what) => `Left out: ${what}`),
    ...(report.truncated_turns ? [`The oldest ${report.truncated_turns} turns did not fit any more.`] : []),
    ...report.warnings,
  ];
  const details = make("details");
  const list = make("ul");
  list.append(...lines.map((line) => make("li", "", line)));
  details.append(make("summary", "", `What ${name} was told`), list);
  turn.append(details);
}

function make(tag, className = "", content = "") {
  const element = document.createElement(tag);
  if (className) element.className = className;
  element.textContent = content;
  return element;
}

function busy(is) {
  $("send").hidden = is;
  $("stop").hidden = !is;
  if (!is) { fit(); toEnd(); text.focus({ preventScroll: true }); }
}

function show(problem) {
  $("problem").textContent = problem;
  $("problem").hidden = !problem;
  if (problem) toEnd();
}

function toEnd() { scroll.scrollTop = scroll.scrollHeight; }

// Browsers without `field-sizing` get the same by hand.
function fit() {
  if (CSS.supports("field-sizing", "content")) return;
  text.style.height = "auto";
  text.style.height = `${text.scrollHeight + 2}px`;
}

$("composer").addEventListener("submit", (event) => {
  event.preventDefault();
  const content = text.value.trim();
  if (!content || running) return;
  text.value = "";
  fit();
  say(content);
});
text.addEventListener("input", fit);
text.addEventListener("keydown", (event) => {
  if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
  event.preventDefault();
  $("composer").requestSubmit();
});
document.addEventListener("keydown", (event) => {
  if (event.key === "Escape" && running && !settings.open) running.abort();
});
$("stop").addEventListener("click", () => running?.abort());
$("reset").addEventListener("click", () => { running = stopped(); reset(); busy(false); });
$("character").addEventListener("change", () => { running = stopped(); reset(); busy(false); });
$("open-settings").addEventListener("click", () => settings.showModal());
$("user-name").addEventListener("change", async () => {
  if (await load() && !history.some((turn) => turn.role === "user")) reset();
});
$("defaults").addEventListener("click", () => { for (const field of settings.querySelectorAll("input")) field.value = ""; });

function stopped() {
  running?.abort();
  return null;
}

start();
