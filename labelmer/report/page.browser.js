// The browser of test utterances: which of them, in what order. Its data is what report/browser.py
// says; each row n of it is an utterance, which page.utterance.js shows.

const PAGE = 20; // utterances that are shown at once
const many = new Intl.NumberFormat("en");

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
  const study = { about, spoken, names, tokens, predicted, outline, N, C };
  const { card, pause } = utterances({ ...study, textOf, share, confidence, hasAudio });
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

  let weights = null; // of the variant that is chosen
  let found = []; // the rows that the filters let through, sorted
  let first = 0; // of the found rows, the first that is shown
  const known = new Map();

  async function weightsOf(v) {
    const packed = block("browser-salience")[v];
    if (!packed || known.has(v)) return known.get(v) ?? null;
    const of = { classes: packed.classes };
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

  async function choose() {
    weights = await weightsOf(Number(field.variant.value));
    const before = field.colour.value;
    field.colour.replaceChildren(new Option("salience", 0));
    if (weights?.classes) fill(field.colour, labels.map(([c, name]) => [c + 1, `says ${name}`]));
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
    pause();
    const shown = found.slice(first, first + PAGE);
    const layer = Number(field.colour.value); // of the weights: salience, then a class each
    const view = { v: Number(field.variant.value), layer, weights, open: field.open.checked };
    list.classList.toggle("says", layer > 0);
    list.replaceChildren(...shown.map((n) => card(n, view)));
    list.start = first + 1;
    const range = `${many.format(first + 1)} to ${many.format(first + shown.length)} of `;
    count.textContent =
      (shown.length ? range : "") +
      `${many.format(found.length)} utterance${found.length === 1 ? "" : "s"}; ${many.format(N)} in all`;
    earlier.disabled = first === 0;
    later.disabled = first + PAGE >= found.length;
  }

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
  // A link to errors of a variant, from what is said in short; the form's reset shows them.
  for (const link of document.querySelectorAll("a[data-variant]")) {
    link.addEventListener("click", () => {
      const { experiment, variant, label, predicted } = link.dataset;
      form.reset();
      field.variant.value = about.variants.findIndex(
        ([name, of]) => name === variant && about.experiments[of] === experiment,
      );
      field.label.value = about.classes.indexOf(label);
      field.predicted.value = about.classes.indexOf(predicted);
    });
  }
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
