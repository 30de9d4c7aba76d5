"use strict";
// The page at /: it shows what is served, and one reply's rewards as coloured text. What the
// server answers goes into the page as text, never as HTML.

const $ = (id) => document.getElementById(id);
let token = "";
let pair = false, rm = false; // what can score a reply

async function ask(path, body) {
  const headers = {};
  if (token) headers["Authorization"] = "Bearer " + token;
  if (body) headers["Content-Type"] = "application/json";
  const response = await fetch(path, body ? { method: "POST", headers, body: JSON.stringify(body) } : { headers });
  const answer = await response.json();
  if (!response.ok) {
    const error = new Error(answer.error.message);
    error.status = response.status;
    throw error;
  }
  return answer;
}

function row(table, cells) {
  const tr = $(table).tBodies[0].insertRow();
  for (const text of cells) tr.insertCell().textContent = text;
}

async function models() {
  $("models").hidden = true;
  $("models").tBodies[0].replaceChildren();
  try {
    const list = (await ask("v1/models")).data;
    for (const m of list) row("models", [m.role, m.id, m.max_model_len + " tokens"]);
    $("models").hidden = false;
    pair = list.some((m) => m.role === "base");
    const reward = list.find((m) => m.role === "rm");
    rm = Boolean(reward);
    const state = [];
    if (pair) state.push("A pair: completions of both models, and the rewards between them.");
    else if (list.length > (rm ? 1 : 0)) state.push("One model: completions, and no rewards, which are between two.");
    if (rm) state.push("A reward model: its rewards, of the head " + reward.head + ", pooling " + reward.pooling + ".");
    $("state").textContent = state.join(" ");
    $("pairfields").hidden = !pair && rm;
    $("rmfield").hidden = !rm;
    $("score").disabled = !pair && !rm;
    $("tokenline").hidden = !token;
  } catch (error) {
    $("state").textContent = error.status === 401 ? "This server wants a token." : "The server does not answer: " + error.message;
    $("tokenline").hidden = error.status !== 401;
  }
}

// number writes a value to three decimals; null is an infinity, which JSON has not.
function number(v) {
  return v === null ? "infinite" : v.toFixed(3).replace("-", "\u2212");
}

function show(answer) {
  const data = answer.data[0];
  const flags = data.flags.length ? " (" + data.flags.join(", ") + ")" : "";
  $("sum").textContent = "Reward " + number(data.reward) + " with \u03b2 = " + answer.beta + ": ln p is " + number(data.logp_tuned) + " in the tuned model, which reads the prompt as " +
    answer.rendering.tuned + ", and " + number(data.logp_base) + " in the base model, which reads it as " + answer.rendering.base + flags + ".";
  const most = Math.max(...data.per_token.map((p) => Math.abs(p.reward ?? 0)), 1e-9);
  $("scale").textContent = most.toPrecision(2);
  $("tokens").replaceChildren();
  $("detail").tBodies[0].replaceChildren();
  for (const p of data.per_token) {
    const span = document.createElement("span");
    const value = p.reward ?? 0;
    span.textContent = p.text;
    span.title = number(p.reward);
    span.style.backgroundColor = "rgba(var(" + (value < 0 ? "--low" : "--high") + "), " + (0.65 * Math.abs(value) / most).toFixed(3) + ")";
    $("tokens").append(span);
    row("detail", [JSON.stringify(p.text), number(p.reward), number(p.logp_tuned), number(p.logp_base)]);
  }
  $("result").hidden = false;
}

function showExplicit(answer) {
  const data = answer.data[0];
  const flags = data.flags.length ? " (" + data.flags.join(", ") + ")" : "";
  $("rmsum").textContent = "The reward model gives " + number(data.reward) + " and reads prompt and reply as " + answer.rendering.as + ", " + data.tokens + " tokens, BOS " + answer.rendering.bos + flags + ".";
  const names = Object.keys(data.outputs);
  $("outputs").tBodies[0].replaceChildren();
  for (const name of names) row("outputs", [name, number(data.outputs[name]), data.weights ? number(data.weights[name]) : ""]);
  $("outputs").hidden = names.length < 2;
  $("explicit").hidden = false;
}

$("form").addEventListener("submit", async (event) => {
  event.preventDefault();
  $("score").disabled = true;
  $("error").hidden = true;
  const body = { prompt: $("prompt").value, reply: $("reply").value, per_token: true, rendering: { tuned: $("tuned").value, base: $("base").value } };
  if ($("beta").value !== "") body.beta = Number($("beta").value);
  try {
    if (rm) showExplicit(await ask("v1/reward", { prompt: body.prompt, reply: body.reply, rendering: $("rmas").value }));
    if (pair) show(await ask("v1/implicit_reward", body));
  } catch (error) {
    $("result").hidden = $("explicit").hidden = true;
    $("error").textContent = error.message;
    $("error").hidden = false;
  }
  $("score").disabled = false;
});

$("usetoken").addEventListener("click", () => {
  token = $("token").value.trim();
  models();
});

for (const span of document.getElementsByClassName("origin")) span.textContent = location.origin;
models();
