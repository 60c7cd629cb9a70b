"use strict";
// The report's viewer: unpacks what the page holds, shows it with NiiVue, and says in numbers what is shown.
(() => {
  const byId = (id) => document.getElementById(id);
  const about = JSON.parse(byId("about").textContent);
  const NIFTI_DATA = 352; // bytes before the voxels
  const OWN = "own", THRESHOLD = "threshold", PASS = "pass"; // what is marked in red
  const VIEWS = { coronal: 1, sagittal: 2, volume: 4 }; // as NiiVue numbers them
  const state = { kind: OWN, level: about.start, pass: about.passes, view: about.view, row: -1 };
  const rows = [...document.querySelectorAll("#regions tbody tr")];
  let viewer = null, size = [1, 1, 1], error = null, passes = null, scan = null, load = null, heat = null;

  // Numbers in words.
  const number = (value) => value.toLocaleString("en", { maximumSignificantDigits: 3 }).replaceAll(",", "\u202f");
  const count = (value) => value.toLocaleString("en").replaceAll(",", "\u202f");
  const ml = (voxels) => {
    const volume = voxels * about.voxel_ml;
    return `${volume.toFixed(volume >= 100 ? 0 : volume >= 10 ? 1 : volume >= 0.1 ? 2 : 3)} ml`;
  };
  const share = (voxels) => `${number(100 * voxels / about.brain)} % of the brain`;
  const own = () => about.hidden[about.passes];
  const place = (mm) => "xyz".split("").map((axis, index) => {
    const whole = Math.round(mm[index]);
    return `${axis} ${whole > 0 ? "+" : whole < 0 ? "−" : ""}${Math.abs(whole)}`;
  }).join(", ");

  function levelText(level) {
    const voxels = about.above[level];
    const text = `Above ${number(about.levels[level])}: ${ml(voxels)}, ${count(voxels)} voxels, ${share(voxels)}`;
    if (level !== about.start) return text;
    return `${text}. This is the finding’s threshold; its own mask, made on the model’s grid, has ${ml(own())}`;
  }

  function passText(pass) {
    const voxels = about.hidden[pass];
    if (pass === 0) return `Before the first pass the whole brain is hidden: ${ml(voxels)}`;
    const after = `After pass ${pass} of ${about.passes}`;
    return pass === about.passes ? `${after}: the finding’s own mask, ${ml(voxels)}` : `${after}: ${ml(voxels)} still hidden`;
  }

  function shownText() {
    if (state.kind === THRESHOLD) return `Red: error above ${number(about.levels[state.level])}, ${ml(about.above[state.level])}`;
    if (state.kind === PASS) return `Red: hidden after pass ${state.pass}, ${ml(about.hidden[state.pass])}`;
    return own() ? `Red: the finding’s own mask, ${ml(own())}` : "The finding’s own mask is empty: no voxel is marked";
  }

  // What is marked, in words and in the viewer.
  function tell() {
    byId("shown").textContent = shownText();
    const level = byId("threshold"), pass = byId("pass");
    if (level) {
      level.value = state.level;
      level.setAttribute("aria-valuetext", number(about.levels[state.level]));
      byId("volume").textContent = levelText(state.level);
    }
    if (pass) {
      pass.value = state.pass;
      pass.setAttribute("aria-valuetext", `pass ${state.pass} of ${about.passes}`);
      byId("hidden").textContent = passText(state.pass);
    }
  }

  function paint() {
    if (!viewer) return;
    const marked = viewer.drawBitmap, above = state.kind === PASS ? state.pass : about.passes;
    const values = state.kind === THRESHOLD ? error : passes, limit = state.kind === THRESHOLD ? state.level : above;
    const shown = byId("mask").checked ? 1 : 0;
    for (let at = 0; at < marked.length; at++) marked[at] = values[at] > limit ? shown : 0;
    viewer.refreshDrawing(true);
  }

  let asked = false;
  function mark(kind) {
    state.kind = kind;
    tell();
    if (asked) return;
    asked = true;
    requestAnimationFrame(() => { asked = false; paint(); });
  }

  // The crosshair.
  const through = (matrix, point) => matrix.map((row) => row[0] * point[0] + row[1] * point[1] + row[2] * point[2] + row[3]);

  function jump(mm) {
    if (!viewer) return;
    const voxel = through(about.to_voxel, mm).map(Math.round);
    viewer.scene.crosshairPos = voxel.map((index, axis) => (index + 0.5) / size[axis]);
    viewer.createOnLocationChange();
    viewer.drawScene();
  }

  function located(where) {
    const voxel = Array.from(where.vox.slice(0, 3), Math.round), [x, y, z] = voxel; // NiiVue's mm disregard a tilt
    const at = x + size[0] * (y + size[1] * z);
    let text = "outside the brain";
    if (passes[at]) {
      const step = error[at];
      text = step ? `error about ${number(about.levels[step - 1])}` : `error below ${number(about.levels[0] ?? 0)}`;
      text += passes[at] > about.passes ? ", in the finding’s own mask" : "";
    }
    byId("where").textContent = `${place(through(about.to_mm, voxel))} mm: ${text}`;
  }

  function show(row) {
    rows[state.row]?.removeAttribute("aria-current");
    rows[row].setAttribute("aria-current", "true");
    state.row = row;
    jump(rows[row].dataset.mm.split(" ").map(Number));
  }

  function keys(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const step = { ArrowLeft: [1, 0, 0], ArrowRight: [-1, 0, 0], ArrowUp: [0, 1, 0], ArrowDown: [0, -1, 0],
      PageUp: [0, 0, 1], PageDown: [0, 0, -1] }[event.key];
    event.stopPropagation(); // NiiVue has keys of its own
    if (!step) return;
    event.preventDefault();
    const [across, up, through] = step;
    if (state.view === VIEWS.volume) {
      const { renderAzimuth, renderElevation } = viewer.scene;
      viewer.setRenderAzimuthElevation(renderAzimuth + 5 * across, renderElevation + 5 * up);
    } else {
      const inVoxels = { [VIEWS.coronal]: [across, through, up], [VIEWS.sagittal]: [through, across, up] };
      viewer.moveCrosshairInVox(...(inVoxels[state.view] ?? step));
      viewer.createOnLocationChange();
    }
  }

  // The player.
  let timer = 0;
  function play(on) {
    clearInterval(timer);
    timer = 0;
    const button = byId("play");
    button.textContent = on ? "Pause" : "Play";
    button.setAttribute("aria-label", button.textContent);
    button.setAttribute("aria-pressed", on);
    if (!on) return;
    if (state.kind !== PASS || state.pass >= about.passes) turn(0);
    timer = setInterval(() => (state.pass < about.passes ? turn(state.pass + 1) : play(false)), 900);
  }

  function turn(pass) {
    state.pass = Math.min(Math.max(pass, 0), about.passes);
    mark(PASS);
  }

  function controls() {
    byId("own").addEventListener("click", () => {
      if (byId("pass")) play(false);
      Object.assign(state, { level: about.start, pass: about.passes });
      mark(OWN);
    });
    byId("mask").addEventListener("change", () => paint());
    byId("threshold")?.addEventListener("input", (event) => {
      if (byId("pass")) play(false);
      state.level = Number(event.target.value);
      mark(THRESHOLD);
    });
    if (byId("pass")) {
      byId("pass").addEventListener("input", (event) => { play(false); turn(Number(event.target.value)); });
      byId("back").addEventListener("click", () => { play(false); turn(state.pass - 1); });
      byId("forward").addEventListener("click", () => { play(false); turn(state.pass + 1); });
      byId("play").addEventListener("click", () => play(!timer));
    }
    const views = [...document.querySelectorAll("[data-view]")];
    views.forEach((button) => button.addEventListener("click", () => {
      views.forEach((other) => other.setAttribute("aria-pressed", other === button));
      state.view = Number(button.dataset.view);
      viewer.setSliceType(state.view);
    }));
    byId("around")?.addEventListener("change", () => { within(byId("around").checked); viewer.updateGLVolume(); });
    byId("heat").addEventListener("change", async () => {
      heat ??= load(1, { colormap: "inferno", cal_min: Math.max(1, about.start - 60), cal_max: about.levels.length })
        .then((volume) => viewer.addVolume(volume));
      await heat;
      viewer.setOpacity(1, byId("heat").checked ? 0.75 : 0);
    });
    rows.forEach((row, index) => {
      const button = document.createElement("button"), cell = row.cells[0];
      button.type = "button";
      button.textContent = cell.textContent;
      button.setAttribute("aria-label", `Show region ${cell.textContent}, ${row.cells[1].textContent} mm`);
      cell.replaceChildren(button);
      row.addEventListener("click", () => show(index));
      button.addEventListener("keydown", (event) => {
        const next = rows[index + ({ ArrowDown: 1, ArrowUp: -1 }[event.key] ?? 0)];
        if (!next || next === row) return;
        event.preventDefault();
        next.cells[0].firstChild.focus();
      });
    });
    byId("canvas").parentElement.addEventListener("keydown", keys, true);
  }

  // What the page holds.
  async function unpack(id) {
    const held = byId(id), text = held.textContent;
    const bytes = Uint8Array.fromBase64 ? Uint8Array.fromBase64(text) : Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
    held.remove();
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
    return new Response(stream).arrayBuffer();
  }

  async function program() {
    const script = document.createElement("script");
    script.textContent = new TextDecoder().decode(await unpack("program"));
    document.head.append(script);
    return globalThis.niivue;
  }

  function within(around) {
    const image = viewer.volumes[0].img;
    image.set(scan);
    if (!around) for (let at = 0; at < image.length; at++) if (!passes[at]) image[at] = 0;
  }

  async function open() {
    const names = ["scan", "error", "passes"];
    const [{ Niivue, NVImage }, ...files] = await Promise.all([program(), ...names.map((name) => unpack(`volume-${name}`))]);
    load = (index, options) => NVImage.loadFromUrl({ url: files[index], name: `${names[index]}.nii`, ...options });
    [scan, error, passes] = files.map((file) => new Uint8Array(file, NIFTI_DATA).slice());
    const image = await load(0, { colormap: "gray" });
    size = image.hdr.dims.slice(1, 4);
    const made = new Niivue({
      isRadiologicalConvention: true, sagittalNoseLeft: true, multiplanarLayout: 2,
      show3Dcrosshair: true, crosshairWidth: 1, crosshairWidthUnit: "mm", crosshairGap: 20, multiplanarPadPixels: 10,
      crosshairColor: [0.35, 0.85, 1, 0.9], fontColor: [0.92, 0.92, 0.92, 1], backColor: [0, 0, 0, 1],
      showAllOrientationMarkers: true, dragAndDropEnabled: false, scrollRequiresFocus: true, isColorbar: false, logLevel: "error",
    });
    made.onLocationChange = located;
    await made.attachToCanvas(byId("canvas"));
    const slow = withoutCard(made.gl);
    byId("slow").hidden = !slow;
    made.opts.multiplanarShowRender = slow ? 0 : 1;
    made.addVolume(image);
    viewer = made;
    [image.cal_min, image.cal_max] = about.window.map((edge) => edge * (image.hdr.scl_slope || 1) + (image.hdr.scl_inter || 0));
    within(false);
    made.updateGLVolume();
    made.createEmptyDrawing();
    made.drawRimOpacity = 1;
    made.setDrawOpacity(0.35);
    made.setSliceType(state.view);
    paint();
    if (rows.length) show(0);
    else made.createOnLocationChange();
  }

  function withoutCard(gl) {
    const told = gl.getExtension("WEBGL_debug_renderer_info");
    const name = gl.getParameter(told ? told.UNMASKED_RENDERER_WEBGL : gl.RENDERER);
    return /swiftshader|llvmpipe|softpipe|software|basic render/i.test(name);
  }

  // A browser may offer WebGL2 and still draw nothing.
  function painted() {
    const gl = viewer.gl, width = gl.drawingBufferWidth, height = gl.drawingBufferHeight;
    if (!width || !height) return true;
    viewer.drawScene();
    const pixels = new Uint8Array(4 * width * height);
    gl.readPixels(0, 0, width, height, gl.RGBA, gl.UNSIGNED_BYTE, pixels);
    return pixels.some((level, place) => place % 4 < 3 && level > 30);
  }

  function usable() {
    const canvas = document.createElement("canvas");
    return "DecompressionStream" in globalThis && canvas.getContext("webgl2") !== null;
  }

  async function start() {
    if (!usable()) return;
    const element = byId("viewer");
    element.hidden = false;
    element.parentElement.classList.add("live");
    const away = () => {
      element.hidden = true;
      element.parentElement.classList.remove("live");
      byId("without").hidden = false;
    };
    byId("canvas").addEventListener("webglcontextlost", away);
    try {
      controls();
      tell();
      await open();
      if (!painted()) throw new Error("the viewer stays black");
      byId("without").hidden = true;
      byId("canvas").dataset.state = "ready";
    } catch (problem) {
      away();
      console.error(problem);
    }
  }

  // The page is readable before the viewer is made.
  requestAnimationFrame(() => setTimeout(start));
})();
