// The browser of test utterances. Its data is what report/browser.py says; each row n of it is an
// utterance.

const PAGE = 20; // utterances that are shown at once
const LEVELS = 15; // of a colour, as in browser.py
const segmenter = new Intl.Segmenter("en", { granularity: "word" });
const many = new Intl.NumberFormat("en");

function made(tag, text, name) {
  const element = document.createElement(tag);
  if (text !== undefined) element.textContent = text;
  if (name) element.className = name;
  return element;
}

const percent = (share) => Math.round((100 * share) / 255) + "%";

async function uint32(text) {
  return new Uint32Array((await unpacked(text)).buffer);
}

// Where the parts of each row begin, from how many each has.
function starts(counts) {
  const found = new Uint32Array(counts.length + 1);
  counts.forEach((count, n) => (found[n + 1] = found[n] + count));
  return found;
}

async function browse() {
  const about = block("browser-about");
  const [predicted, p, outline] = await Promise.all(
    [about.predicted, about.p, about.outline].map(unpacked),
  );
  const spoken = JSON.parse(new TextDecoder().decode(await unpacked(about.utterances)));
  const ofWords = await Promise.all(
    about.words.map(async (of) => of && JSON.parse(new TextDecoder().decode(await unpacked(of)))),
  );
  // What variant v reads as the words of an utterance: recognised ones, or the corpus' own.
  const textOf = (v, u) => (ofWords[about.variants[v][1]] ?? spoken.text)[u];
  const tokens = await Promise.all(
    about.tokens.map(async (of) => of && {
      starts: starts(await uint32(of.counts)),
      spans: await uint32(of.spans),
    }),
  );
  const N = about.true.length;
  const C = about.classes.length;
  const points = outline.length / N;
  const names = about.variants.map(([name, experiment]) =>
    about.experiments.length > 1 ? `${name} (${about.experiments[experiment]})` : name,
  );
  const search = about.utterance.map((u) => (spoken.id[u] + " " + spoken.text[u]).toLowerCase());
  const wrong = about.true.map(
    (label, n) => names.filter((_, v) => predicted[v * N + n] !== label).length,
  );
  const share = (v, n, c) => p[(v * N + n) * C + c];
  const confidence = (v, n) => share(v, n, predicted[v * N + n]);
  const hasAudio = block("browser-audio").map((sound) => sound !== null);

  const form = document.getElementById("filters");
  const list = document.getElementById("list");
  const count = document.getElementById("count");
  const [earlier, later] = document.querySelectorAll("#pages button");
  const field = form.elements;
  const fill = (select, options) =>
    select.append(...options.map(([value, text]) => new Option(text, value)));
  const labels = about.classes.map((name, c) => [c, name]);
  fill(field.variant, names.map((name, v) => [v, name]));
  fill(field.label, labels);
  fill(field.predicted, labels);
  fill(field.fold, [...new Set(about.fold)].map((fold) => [fold, fold]));
  field.playable.closest("label").hidden = !hasAudio.some(Boolean) || hasAudio.every(Boolean);

  let weights = null; // of the variant that is chosen
  let found = []; // the rows that the filters let through, sorted
  let first = 0; // of the found rows, the first that is shown
  const known = new Map();

  async function weightsOf(v) {
    const packed = block("browser-salience")[v];
    if (!packed || known.has(v)) return known.get(v) ?? null;
    const of = {};
    for (const modality of ["speech", "text"]) {
      of[modality] = packed[modality] && (await unpacked(packed[modality]));
    }
    if (packed.turns) {
      of.turns = {
        starts: starts(await uint32(packed.turns.counts)),
        utterances: await uint32(packed.turns.utterances),
        weights: await unpacked(packed.turns.weights),
      };
    }
    known.set(v, of);
    return of;
  }

  // How often salience is there: once, or once more for each class.
  const layers = () => {
    if (weights?.speech) return weights.speech.length / (N * stretches());
    const of = tokens[about.variants[field.variant.value][1]];
    return weights?.text ? weights.text.length / (of.spans.length / 2) : 1;
  };
  const stretches = () => points / 2;

  async function choose() {
    weights = await weightsOf(Number(field.variant.value));
    const before = field.colour.value;
    field.colour.replaceChildren(new Option("salience", 0));
    if (layers() > 1) fill(field.colour, labels.map(([c, name]) => [c + 1, `says ${name}`]));
    if ([...field.colour.options].some((option) => option.value === before)) {
      field.colour.value = before;
    }
    field.colour.disabled = weights === null;
    update();
  }

  const orders = {
    corpus: null,
    surest: (v) => (a, b) => confidence(v, b) - confidence(v, a),
    unsurest: (v) => (a, b) => confidence(v, a) - confidence(v, b),
    furthest: (v) => (a, b) => share(v, a, about.true[a]) - share(v, b, about.true[b]),
    hardest: () => (a, b) => wrong[b] - wrong[a],
    longest: () => (a, b) => about.seconds[b] - about.seconds[a],
    shortest: () => (a, b) => about.seconds[a] - about.seconds[b],
  };

  function update() {
    const v = Number(field.variant.value);
    const [least, most] = [field.least, field.most].map((of) => (of.valueAsNumber / 100) * 255);
    const words = field.words.value.trim().toLowerCase();
    const is = (select, value) => select.value === "" || Number(select.value) === value;
    found = [];
    for (let n = 0; n < N; n++) {
      const said = predicted[v * N + n];
      const right = said === about.true[n];
      const sure = confidence(v, n);
      if (
        is(field.label, about.true[n]) && is(field.predicted, said) && is(field.fold, about.fold[n]) &&
        (field.outcome.value === "" || (field.outcome.value === "right") === right) &&
        !(sure < least - 0.5) && !(sure > most + 0.5) &&
        (!field.playable.checked || hasAudio[n]) && search[n].includes(words)
      ) found.push(n);
    }
    const order = orders[field.order.value];
    if (order) found.sort(order(v));
    first = 0;
    show();
  }

  function show() {
    player.pause();
    const shown = found.slice(first, first + PAGE);
    list.classList.toggle("says", field.colour.value > 0);
    list.replaceChildren(...shown.map(card));
    list.start = first + 1;
    const range = `${many.format(first + 1)} to ${many.format(first + shown.length)} of `;
    count.textContent =
      (shown.length ? range : "") + `${many.format(found.length)} utterances; ${many.format(N)} in all`;
    earlier.disabled = first === 0;
    later.disabled = first + PAGE >= found.length;
  }

  function heat(tag, text, level, name) {
    const element = made(tag, text, "heat " + (name ?? ""));
    element.style.setProperty("--heat", level / LEVELS);
    return element;
  }

  // The words of row n, coloured; returns the words that weigh most.
  function write(place, n, v, layer) {
    const letters = [...textOf(v, about.utterance[n])];
    const segments = segmenter.segment(letters.join(""));
    const of = weights?.text && tokens[about.variants[v][1]];
    if (!of) {
      place.textContent = letters.join("") || "(no words)";
      return [];
    }
    const size = of.spans.length / 2;
    const weighed = new Map(); // {word: the most that a token of it weighs}
    let done = 0;
    for (let t = of.starts[n]; t < of.starts[n + 1]; t++) {
      const [start, end] = of.spans.subarray(2 * t, 2 * t + 2);
      const level = weights.text[layer * size + t];
      if (start === end) {
        const mark = heat("span", "▢", level, "nowhere");
        mark.title = "a token that stands for no word";
        mark.setAttribute("aria-hidden", "true");
        place.append(mark);
      } else if (end > done) {
        place.append(letters.slice(done, start).join(""));
        const text = letters.slice(Math.max(start, done), end).join("");
        place.append(heat("span", text, level));
        const letter = text.search(/[\p{L}\p{N}]/u);
        if (letter >= 0) {
          const at = letters.slice(0, Math.max(start, done)).join("").length + letter;
          const word = segments.containing(at).segment;
          weighed.set(word, Math.max(level, weighed.get(word) ?? 0));
        }
        done = end;
      }
    }
    place.append(letters.slice(done).join("") || (letters.length ? "" : "(no words)"));
    const words = [...weighed].filter(([, level]) => level).sort((a, b) => b[1] - a[1]);
    return words.slice(0, 3).map(([word]) => word);
  }

  // The outline of row n over the salience of its stretches.
  function draw(svg, n, layer) {
    const shape = (tag, attributes) => {
      const element = document.createElementNS(svg.namespaceURI, tag);
      for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
      return element;
    };
    const width = stretches();
    svg.setAttribute("viewBox", `0 0 ${points} 40`);
    if (weights?.speech) {
      const levels = weights.speech.subarray((layer * N + n) * width, (layer * N + n + 1) * width);
      levels.forEach((level, i) => {
        if (!level) return;
        const bar = shape("rect", { x: 2 * i, y: 0, width: 2, height: 40, class: "heat" });
        bar.style.setProperty("--heat", level / LEVELS);
        svg.append(bar);
      });
    }
    const edge = [...outline.subarray(n * points, (n + 1) * points)];
    const high = edge.map((loud, i) => `${i + 0.5} ${(20 - (19 * loud) / 255).toFixed(1)}`);
    const low = edge.map((loud, i) => `${i + 0.5} ${(20 + (19 * loud) / 255).toFixed(1)}`);
    svg.append(shape("path", { d: `M${high.join("L")}L${low.reverse().join("L")}Z` }));
    svg.append(shape("rect", { x: 0, y: 0, width: 0.5, height: 40, class: "now", hidden: "" }));
    svg.setAttribute("aria-label", `Sound, ${about.seconds[n]} seconds`);
  }

  function card(n) {
    const v = Number(field.variant.value);
    const layer = Number(field.colour.value);
    const u = about.utterance[n];
    const item = document.getElementById("card").content.cloneNode(true).firstElementChild;
    const part = (name) => item.querySelector("." + name);
    const said = predicted[v * N + n];
    part("id").textContent = spoken.id[u];
    part("true").textContent = about.classes[about.true[n]];
    part("said").textContent = about.classes[said];
    part("sure").textContent = percent(confidence(v, n));
    const right = said === about.true[n];
    part("outcome").textContent = right ? "right" : "wrong";
    part("outcome").classList.add(right ? "right" : "wrong");
    part("where").textContent =
      `fold ${about.fold[n]} · ${spoken.speaker[u]} · ${about.seconds[n]} s`;
    const most = write(part("words"), n, v, layer).map((word) => `“${word}”`);
    const what = layer ? `Says ${about.classes[layer - 1]} most` : "Most salient";
    part("most").textContent = most.length ? `${what}: ${most.join(", ")}` : "";
    draw(part("sound"), n, layer);
    const play = part("play");
    play.hidden = !hasAudio[n];
    play.setAttribute("aria-label", `Play ${spoken.id[u]}`);
    play.addEventListener("click", () => toggle(n, play, part("now")));
    const more = item.querySelector("details");
    const open = () => {
      if (more.open && !part("more").hasChildNodes()) part("more").append(...details(n, v));
    };
    more.addEventListener("toggle", open);
    more.open = field.open.checked;
    open();
    return item;
  }

  // What every variant says of row n, and the turns around it.
  function details(n, v) {
    const table = made("table");
    table.append(made("caption", "Probabilities in percent, mean over seeds. Bold: predicted."));
    const head = table.createTHead().insertRow();
    for (const name of ["variant", ...about.classes]) {
      const cell = head.appendChild(made("th", name, name === "variant" ? "name" : ""));
      cell.scope = "col";
      if (name === about.classes[about.true[n]] && head.cells.length > 1) cell.append(" (true)");
    }
    const body = table.createTBody();
    names.forEach((name, other) => {
      const row = body.insertRow();
      if (other === v) row.className = "chosen";
      row.appendChild(made("th", name, "name")).scope = "row";
      for (let c = 0; c < C; c++) {
        const cell = row.appendChild(heat("td", undefined, (LEVELS * share(other, n, c)) / 255, "sure"));
        const is = predicted[other * N + n] === c;
        cell.append(made(is ? "strong" : "span", Math.round((100 * share(other, n, c)) / 255)));
      }
    });
    const wide = made("div", undefined, "wide");
    wide.tabIndex = 0;
    wide.setAttribute("role", "region");
    wide.setAttribute("aria-label", "Probabilities of every variant");
    wide.append(table);
    return weights?.turns ? [wide, turns(n, v)] : [wide];
  }

  function turns(n, v) {
    const of = weights.turns;
    const own = about.utterance[n];
    const around = [];
    for (let i = of.starts[n]; i < of.starts[n + 1]; i++) {
      around.push({ u: of.utterances[i], weight: of.weights[i] });
    }
    around.sort((a, b) => a.u - b.u);
    const items = around.map(({ u, weight }) => {
      const item = made("li");
      const even = (weight / 255) * around.length; // in times of an even share
      item.append(heat("span", percent(weight), Math.min(even / 4, 1) * LEVELS));
      const same = spoken.speaker[u] === spoken.speaker[own];
      item.append(` ${same ? "same speaker" : spoken.speaker[u]}: `);
      const words = item.appendChild(made("span", textOf(v, u) || "(no words)"));
      words.dir = "auto";
      return item;
    });
    const words = around.length ? "Turns around it, and how much was looked at each" : "No turns around it";
    const title = made("h4", words);
    const all = made("div");
    all.append(title);
    for (const [where, is] of [["Before, the nearest last:", (u) => u < own], ["After:", (u) => u > own]]) {
      const some = items.filter((_, i) => is(around[i].u));
      if (!some.length) continue;
      all.append(made("p", where, "soft"));
      all.appendChild(made("ol", undefined, "turns")).append(...some);
    }
    return all;
  }

  const player = new Audio();
  let playing = null; // {n, play, now}: the row, its button and its line
  function toggle(n, play, now) {
    if (playing?.play === play && !player.paused) return player.pause();
    if (playing?.play !== play) {
      player.pause();
      player.src = "data:audio/mpeg;base64," + block("browser-audio")[n];
      playing = { n, play, now };
    }
    player.play();
  }
  function follow() {
    playing.now.setAttribute("x", (points * player.currentTime) / about.seconds[playing.n]);
    if (!player.paused) requestAnimationFrame(follow);
  }
  const sounding = (is) => {
    if (!playing) return;
    const id = spoken.id[about.utterance[playing.n]];
    playing.play.textContent = is ? "Pause" : "Play";
    playing.play.setAttribute("aria-label", `${is ? "Pause" : "Play"} ${id}`);
    playing.now.toggleAttribute("hidden", !is && player.ended);
    if (is) follow();
  };
  player.addEventListener("play", () => sounding(true));
  player.addEventListener("pause", () => sounding(false));
  player.addEventListener("ended", () => sounding(false));

  const changed = ({ target }) => {
    if (target === field.variant) choose();
    else if (target === field.colour || target === field.open) show();
    else update();
  };
  // What drives a browser, as tests and helps for the disabled do, may give lists no input event.
  form.addEventListener("change", (event) => event.target.matches("select") && changed(event));
  form.addEventListener("input", (event) => event.target.matches("select") || changed(event));
  form.addEventListener("reset", () => setTimeout(choose));
  form.addEventListener("submit", (event) => event.preventDefault());
  const turnTo = (step) => {
    first += step * PAGE;
    show();
    count.scrollIntoView();
  };
  earlier.addEventListener("click", () => turnTo(-1));
  later.addEventListener("click", () => turnTo(1));
  await choose();
  document.getElementById("unready").hidden = true;
  document.getElementById("browser").hidden = false;
  performance.mark("browser"); // bench/page.py asks when
}

browse();
