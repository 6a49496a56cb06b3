// One utterance: its words and its sound coloured by salience, what every variant says of it, the
// turns around it, its audio. page.browser.js says of which.

const LEVELS = 15; // of a colour, as in browser.py
const segmenter = new Intl.Segmenter("en", { granularity: "word" });

function made(tag, text, name) {
  const element = document.createElement(tag);
  if (text !== undefined) element.textContent = text;
  if (name) element.className = name;
  return element;
}

const percent = (share) => Math.round((100 * share) / 255) + "%";

function heat(tag, text, level, name) {
  const element = made(tag, text, "heat " + (name ?? ""));
  element.style.setProperty("--heat", level / LEVELS);
  return element;
}

// What shows the utterances of a study, as page.browser.js reads it: {card, pause}.
function utterances(study) {
  const { about, spoken, names, tokens, predicted, outline, N, C } = study;
  const { textOf, share, confidence, hasAudio } = study;
  const points = outline.length / N;

  // The words of row n, coloured; returns the words that weigh most.
  function write(place, n, { v, layer, weights }) {
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
  function draw(svg, n, { layer, weights }) {
    const shape = (tag, attributes) => {
      const element = document.createElementNS(svg.namespaceURI, tag);
      for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
      return element;
    };
    const width = points / 2; // in stretches of salience
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

  // Row n as an item of the list; view: {v, layer, weights, open}, the variant and its weights, which
  // of its colours, and whether the details are open.
  function card(n, view) {
    const { v, layer } = view;
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
    const most = write(part("words"), n, view).map((word) => `“${word}”`);
    const what = layer ? `Says ${about.classes[layer - 1]} most` : "Most salient";
    part("most").textContent = most.length ? `${what}: ${most.join(", ")}` : "";
    draw(part("sound"), n, view);
    const play = part("play");
    play.hidden = !hasAudio[n];
    play.setAttribute("aria-label", `Play ${spoken.id[u]}`);
    play.addEventListener("click", () => toggle(n, play, part("now")));
    const more = item.querySelector("details");
    const open = () => {
      if (more.open && !part("more").hasChildNodes()) part("more").append(...details(n, view));
    };
    more.addEventListener("toggle", open);
    more.open = view.open;
    open();
    return item;
  }

  // What every variant says of row n, and the turns around it.
  function details(n, { v, weights }) {
    const table = made("table");
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
    wide.dataset.name = `Probabilities of every variant, ${spoken.id[about.utterance[n]]}`;
    wide.append(table);
    moved(wide);
    return weights?.turns ? [wide, turns(n, v, weights.turns)] : [wide];
  }

  function turns(n, v, of) {
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

  return { card, pause: () => player.pause() };
}
