// Runs a model in the page: what is drawn becomes a code, and the code becomes an image.

import {Tensor, loadAndCompile, loadLiteRt} from '@litertjs/core';

const MAP_SIDE = 900;  // Pixels of the plane's canvas.
const SHOWN = 6;  // Of the nearest training examples.
const CHOICE_WEIGHT = 3;  // Of classes and clusters beside the style, whose values are around 1.
const RASTER = 8;  // Pixels of a drawing for each of the model's, each way.
const COLOURS = ['#1f77b4', '#ff7f0e', '#2ca02c', '#d62728', '#9467bd',
                 '#8c564b', '#e377c2', '#7f7f7f', '#bcbd22', '#17becf'];

const $ = (id) => document.getElementById(id);
const element = (tag, settings = {}, children = []) => {
  const made = Object.assign(document.createElement(tag), settings);
  made.append(...children);
  return made;
};
const canvasOf = (width, height) => element('canvas', {width, height});
const best = (values) => values.indexOf(Math.max(...values));
const oneHot = (index, size) => Float32Array.from({length: size}, (_, i) => Number(i === index));
const percent = (share) => `${(100 * share).toFixed(1)} %`;

let about, width, height, channels;

// The probabilities that the decoder is trained with, of those that the temperature calibrated.
function uncalibrated(shares) {
  const most = Math.max(...shares);
  const powers = [...shares].map((share) => (share / most) ** about.temperature);
  const sum = powers.reduce((total, power) => total + power, 0);
  return Float32Array.from(powers, (power) => power / sum);
}

// A .tflite file that takes one example.
class Network {
  static async load(path) {
    const network = new Network();
    network.model = await loadAndCompile(path, {accelerator: 'wasm'});
    return network;
  }

  // Typed arrays by name in, typed arrays by name out.
  async run(inputs) {
    const tensors = {};
    for (const {name, shape} of this.model.getInputDetails()) {
      tensors[name] = new Tensor(inputs[name], [...shape]);
    }
    const outputs = await this.model.run(tensors);
    const values = {};
    for (const [name, tensor] of Object.entries(outputs)) values[name] = tensor.toTypedArray();
    for (const tensor of [...Object.values(tensors), ...Object.values(outputs)]) tensor.delete();
    return values;
  }
}

// Paints an image, [height, width, channels] with white at `white`, on a canvas.
function paint(canvas, image, white) {
  const data = new ImageData(width, height);
  for (let i = 0; i < width * height; i++) {
    for (let c = 0; c < 3; c++) {
      data.data[4 * i + c] = image[channels * i + (channels === 3 ? c : 0)] * 255 / white;
    }
    data.data[4 * i + 3] = 255;
  }
  canvas.width = width;
  canvas.height = height;
  canvas.getContext('2d').putImageData(data, 0, 0);
}

// The model's pixels, uint8 [height, width, channels], of a canvas's of the same size.
function pixelsOf(canvas) {
  const rgba = canvas.getContext('2d').getImageData(0, 0, width, height).data;
  const pixels = new Uint8Array(width * height * channels);
  for (let i = 0; i < width * height; i++) {
    const [r, g, b] = rgba.subarray(4 * i, 4 * i + 3);
    if (channels === 3) pixels.set([r, g, b], 3 * i);
    else pixels[i] = Math.round(0.299 * r + 0.587 * g + 0.114 * b);
  }
  return pixels;
}

// A part of a picture, scaled to the model's size; what is transparent is laid on white.
function scaled(picture, ...part) {
  const canvas = canvasOf(width, height);
  const context = canvas.getContext('2d', {willReadFrequently: true});
  context.fillStyle = '#fff';
  context.fillRect(0, 0, width, height);
  context.imageSmoothingQuality = 'high';
  context.drawImage(picture, ...part, 0, 0, width, height);
  return canvas;
}

// The pad: strokes of a pen, in the model's pixels, or a picture in their place.
class Pad {
  constructor(changed) {
    this.changed = changed;
    this.canvas = $('pad');
    this.canvas.width = width * RASTER;
    this.canvas.height = height * RASTER;
    this.strokes = [];
    this.picture = null;
    this.pen = {x: width / 2, y: height / 2, down: false, shown: false};
    this.canvas.addEventListener('pointerdown', (event) => this.press(event));
    this.canvas.addEventListener('pointermove', (event) => this.drag(event));
    this.canvas.addEventListener('keydown', (event) => this.key(event));
    for (const name of ['focus', 'blur']) {
      this.canvas.addEventListener(name, () => {
        this.pen.shown = this.canvas.matches(':focus-visible');
        this.draw();
      });
    }
    $('clear').addEventListener('click', () => this.clear());
    $('invert').addEventListener('click', () => this.show(this.pixels().map((value) => 255 - value)));
    $('centre').addEventListener('change', () => this.changed());
    $('picture').addEventListener('change', (event) => {
      this.open(event.target.files);
      event.target.value = '';
    });
    $('open').addEventListener('click', () => $('picture').click());
    for (const name of ['dragover', 'drop']) {
      addEventListener(name, (event) => event.preventDefault());  // A browser would leave the page.
    }
    addEventListener('drop', (event) => this.open(event.dataTransfer.files));
    addEventListener('paste', (event) => this.open(event.clipboardData.files));
    this.camera = new Camera(this);
  }

  clear() {
    this.camera.stop();
    this.strokes = [];
    this.picture = null;
    this.pen.down = false;
    this.update();
  }

  // Shows pixels in place of a drawing.
  show(pixels) {
    this.clear();
    this.picture = pixels;
    this.update();
  }

  // Shows the first of some files.
  async open([file]) {
    if (!file) return;
    try {
      const picture = await createImageBitmap(file);
      this.show(pixelsOf(scaled(picture, 0, 0, picture.width, picture.height)));
      complain('');
    } catch (error) {
      complain(`${file.name}: not a picture that this browser reads`);
    }
  }

  // Shows what the camera sees, until something else is to be shown.
  see(pixels) {
    this.picture = pixels;
    this.update();
  }

  begin(point) {
    this.camera.stop();
    this.picture = null;
    this.strokes.push([point]);
    this.update();
  }

  go(point) {
    this.strokes.at(-1).push(point);
    this.update();
  }

  at(event) {
    const box = this.canvas.getBoundingClientRect();
    return [(event.clientX - box.left) / box.width * width,
            (event.clientY - box.top) / box.height * height];
  }

  press(event) {
    if (event.button) return;
    this.canvas.setPointerCapture(event.pointerId);
    this.pen.down = this.pen.shown = false;
    this.begin(this.at(event));
  }

  drag(event) {
    if (this.canvas.hasPointerCapture(event.pointerId)) this.go(this.at(event));
  }

  key(event) {
    const pen = this.pen;
    const steps = {ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1]};
    if (event.key in steps) {
      const [x, y] = steps[event.key];
      pen.x = Math.min(Math.max(pen.x + x, 0), width);
      pen.y = Math.min(Math.max(pen.y + y, 0), height);
      if (pen.down) this.go([pen.x, pen.y]);
    } else if (event.key === ' ') {
      pen.down = !pen.down;
      if (pen.down) this.begin([pen.x, pen.y]);
    } else if (event.key === 'Delete' || event.key === 'Backspace') {
      this.clear();
    } else {
      return;
    }
    event.preventDefault();
    pen.shown = true;
    this.draw();
  }

  update() {
    this.draw();
    this.changed();
  }

  // What the model is to see.
  pixels() {
    if (this.picture) return this.picture;
    let strokes = this.strokes;
    if ($('centre').checked && strokes.length) {
      strokes = fitted(strokes);
      strokes = centred(strokes, pixelsOf(rasterised(strokes)));
    }
    return pixelsOf(rasterised(strokes));
  }

  draw() {
    const context = this.canvas.getContext('2d');
    context.imageSmoothingEnabled = false;
    if (this.picture) {
      const small = canvasOf(width, height);
      paint(small, this.picture, 255);
      context.drawImage(small, 0, 0, this.canvas.width, this.canvas.height);
    } else {
      stroke(context, this.strokes);
    }
    if (this.pen.shown) {
      context.strokeStyle = this.pen.down ? '#ff7f0e' : '#7db8ea';
      context.lineWidth = 2;
      context.beginPath();
      context.arc(this.pen.x * RASTER, this.pen.y * RASTER, 8, 0, 2 * Math.PI);
      context.stroke();
    }
  }
}

// What the camera sees, on the pad ten times a second.
class Camera {
  constructor(pad) {
    this.pad = pad;
    this.stream = null;
    this.video = element('video', {muted: true, playsInline: true});
    this.button = $('camera');
    this.button.hidden = !navigator.mediaDevices;  // Not on this machine, nor over https.
    this.button.addEventListener('click', () => (this.stream ? this.stop() : this.start()));
  }

  async start() {
    this.button.disabled = true;
    try {
      const stream = await navigator.mediaDevices.getUserMedia({video: {facingMode: 'environment'}});
      this.pad.clear();
      this.stream = this.video.srcObject = stream;
      await this.video.play();
      complain('');
      this.look();
    } catch (error) {
      this.stop();
      complain(`The camera can't be used: ${error.message}`);
    }
    this.button.disabled = false;
    this.button.setAttribute('aria-pressed', Boolean(this.stream));
  }

  // Its middle, in the proportions of the model's images.
  look() {
    if (!this.stream) return;
    const {videoWidth, videoHeight} = this.video;
    const scale = Math.min(videoWidth / width, videoHeight / height);
    const part = [scale * width, scale * height];
    const corner = [(videoWidth - part[0]) / 2, (videoHeight - part[1]) / 2];
    this.pad.see(pixelsOf(scaled(this.video, ...corner, ...part)));
    this.timer = setTimeout(() => this.look(), 100);
  }

  stop() {
    clearTimeout(this.timer);
    this.stream?.getTracks().forEach((track) => track.stop());
    this.stream = this.video.srcObject = null;
    this.button.setAttribute('aria-pressed', false);
  }
}

// Draws strokes in white on black, as thick as those of MNIST.
function stroke(context, strokes) {
  context.fillStyle = '#000';
  context.fillRect(0, 0, width * RASTER, height * RASTER);
  context.strokeStyle = '#fff';
  context.lineWidth = thickness() * RASTER;
  context.lineCap = context.lineJoin = 'round';
  for (const points of strokes) {
    context.beginPath();
    context.moveTo(...points[0].map((value) => value * RASTER));
    for (const point of points) context.lineTo(...point.map((value) => value * RASTER));
    context.stroke();
  }
}

const thickness = () => width / 12;

// The strokes as the model would see them, on a canvas of its size: each pixel the mean of its part.
function rasterised(strokes) {
  const large = canvasOf(width * RASTER, height * RASTER);
  const context = large.getContext('2d', {willReadFrequently: true});
  stroke(context, strokes);
  const rgba = context.getImageData(0, 0, large.width, large.height).data;
  const sums = new Float32Array(width * height);
  for (let y = 0; y < large.height; y++) {
    for (let x = 0; x < large.width; x++) {
      sums[Math.floor(y / RASTER) * width + Math.floor(x / RASTER)] += rgba[4 * (y * large.width + x)];
    }
  }
  const small = canvasOf(width, height);
  const image = new ImageData(width, height);
  sums.forEach((sum, i) => {
    const grey = sum / RASTER ** 2;
    image.data.set([grey, grey, grey, 255], 4 * i);
  });
  small.getContext('2d', {willReadFrequently: true}).putImageData(image, 0, 0);
  return small;
}

const moved = (strokes, move) => strokes.map((points) => points.map(move));

// Scaled so that the longer side of its ink takes 20 of 28 pixels, in the middle.
function fitted(strokes) {
  const [xs, ys] = [0, 1].map((axis) => strokes.flat().map((point) => point[axis]));
  const [left, right, top, bottom] = [Math.min(...xs), Math.max(...xs), Math.min(...ys), Math.max(...ys)];
  const extent = Math.max((right - left) / width, (bottom - top) / height);
  const scale = extent > 0.05 ? (20 / 28 - thickness() / width) / extent : 1;
  return moved(strokes, ([x, y]) => [
    (x - (left + right) / 2) * scale + width / 2, (y - (top + bottom) / 2) * scale + height / 2]);
}

// Moved so that the centre of its ink's mass is in the middle.
function centred(strokes, pixels) {
  let [sum, across, down] = [0, 0, 0];
  for (let i = 0; i < width * height; i++) {
    const ink = pixels[channels * i];
    sum += ink;
    across += ink * (i % width + 0.5);
    down += ink * (Math.floor(i / width) + 0.5);
  }
  if (!sum) return strokes;
  return moved(strokes, ([x, y]) => [x + width / 2 - across / sum, y + height / 2 - down / sum]);
}

// The plane of 2-D codes: held-out examples, the prior's contours, and the code that is decoded.
class Plane {
  constructor(chosen) {
    this.chosen = chosen;
    this.canvas = $('plane');
    this.canvas.width = this.canvas.height = MAP_SIDE;
    this.point = [0, 0];
    this.image = canvasOf(width, height);
    this.hovered = false;
    $('plane-section').hidden = false;
    const named = new Set(about.map.labels);
    about.classes.forEach((name, index) => {
      if (!named.has(index)) return;
      const mark = element('b');
      mark.style.background = COLOURS[index % 10];
      $('legend').append(element('span', {}, [mark, name]));
    });
    this.canvas.addEventListener('pointermove', (event) => this.hover(event));
    this.canvas.addEventListener('pointerdown', (event) => this.hover(event));
    this.canvas.addEventListener('pointerleave', () => { this.hovered = false; this.draw(); });
    this.canvas.addEventListener('keydown', (event) => this.key(event));
    matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => this.ground());
    this.ground();
  }

  toPixels([x, y]) {
    const unit = MAP_SIDE / (2 * about.map.limit);
    return [(x + about.map.limit) * unit, (about.map.limit - y) * unit];
  }

  hover(event) {
    const box = this.canvas.getBoundingClientRect();
    const limit = about.map.limit;
    this.hovered = true;
    this.chosen([((event.clientX - box.left) / box.width * 2 - 1) * limit,
                 (1 - (event.clientY - box.top) / box.height * 2) * limit]);
  }

  key(event) {
    const steps = {ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1]};
    if (!(event.key in steps)) return;
    event.preventDefault();
    const limit = about.map.limit;
    this.hovered = true;
    this.chosen(steps[event.key].map((step, axis) =>
      Math.min(Math.max(this.point[axis] + step * limit / 50, -limit), limit)));
  }

  // Draws what doesn't move.
  ground() {
    this.still = canvasOf(MAP_SIDE, MAP_SIDE);
    const context = this.still.getContext('2d');
    about.map.points.forEach((point, index) => {
      const label = about.map.labels[index];
      context.fillStyle = label < 0 ? '#888' : COLOURS[label % 10];
      context.beginPath();
      context.arc(...this.toPixels(point), 3.5, 0, 2 * Math.PI);
      context.fill();
    });
    context.strokeStyle = getComputedStyle(document.body).color;
    context.globalAlpha = 0.7;
    context.lineWidth = 1.5;
    for (const line of about.map.outlines) {
      context.beginPath();
      for (const point of line) context.lineTo(...this.toPixels(point));
      context.stroke();
    }
    this.draw();
  }

  // Marks a point of the plane, and shows its decoded image beside the pointer.
  mark(point, image) {
    this.point = point;
    paint(this.image, image, 1);
    this.draw();
  }

  draw() {
    const context = this.canvas.getContext('2d');
    const ink = getComputedStyle(document.body).color;
    context.clearRect(0, 0, MAP_SIDE, MAP_SIDE);
    context.drawImage(this.still, 0, 0);
    context.strokeStyle = ink;
    context.lineWidth = 3;
    for (const head of about.map.heads ?? []) {
      const [x, y] = this.toPixels(head);
      context.beginPath();
      for (const side of [-9, 9]) {
        context.moveTo(x - 9, y - side);
        context.lineTo(x + 9, y + side);
      }
      context.stroke();
    }
    const [x, y] = this.toPixels(this.point);
    context.beginPath();
    context.arc(x, y, 11, 0, 2 * Math.PI);
    context.stroke();
    if (!this.hovered) return;
    const side = MAP_SIDE / 6;
    const place = [x, y].map((value) => value + 24 + side < MAP_SIDE ? value + 24 : value - 24 - side);
    context.imageSmoothingEnabled = false;
    context.drawImage(this.image, ...place, side, side);
    context.lineWidth = 2;
    context.strokeRect(...place, side, side);
  }
}

// The training examples whose codes are the nearest to one.
class Nearest {
  constructor(strip) {
    this.strip = strip;
    this.shown = Array.from({length: Math.min(SHOWN, about.training.codes.length)}, () => {
      const [canvas, name] = [canvasOf(width, height), element('figcaption', {className: 'soft'})];
      $('nearest').append(element('figure', {}, [canvas, name]));
      return {canvas, name};
    });
  }

  show(code) {
    const {codes, labels} = about.training;
    const weights = about.encoder_parts.flatMap((part) =>
      Array(about.parts[part]).fill(part === 'style' ? 1 : CHOICE_WEIGHT));
    const distances = codes.map((each) =>
      Math.hypot(...each.map((value, i) => weights[i] * (value - code[i]))));
    const order = [...distances.keys()].sort((a, b) => distances[a] - distances[b]);
    this.shown.forEach(({canvas, name}, place) => {
      const index = order[place];
      canvas.getContext('2d').drawImage(example(this.strip, index), 0, 0);
      name.textContent = about.classes[labels[index]] ?? '?';
      name.title = about.classes[labels[index]] ?? 'unlabelled';
    });
  }
}

// The page: the pixels that are encoded, the code that is decoded, and all that shows them.
class Explorer {
  constructor(encoder, decoder, nearest) {
    this.encoder = encoder;
    this.decoder = decoder;
    this.nearest = nearest;
    this.code = {};
    for (const [part, size] of Object.entries(about.parts)) this.code[part] = new Float32Array(size);
    if (about.choice) this.choose(0);
    this.due = {encode: false, decode: false};
    this.sliders = this.makeSliders();
    this.bars = about.prediction ? this.makeBars() : [];
    this.each = about.choice ? this.makeEach() : [];
    this.pad = new Pad(() => this.want('encode'));
    this.plane = about.map ? new Plane((point) => this.goTo(point)) : null;
  }

  makeSliders() {
    return Array.from({length: about.parts.style}, (_, index) => {
      const limit = about.style_limit;
      const input = element('input', {type: 'range', min: -limit, max: limit, step: limit / 200});
      const value = element('span');
      input.addEventListener('input', () => {
        this.code.style[index] = Number(input.value);
        this.want('decode');
      });
      $('code').append(element('label', {}, [`z${index + 1}`, input, value]));
      return {input, value};
    });
  }

  makeBars() {
    $('prediction').hidden = false;
    return about.predicted_names.map((name) => {
      const [bar, share] = [element('i'), element('span')];
      const cell = element('div', {}, [bar]);
      bar.style.display = 'block';
      $('bars').append(element('li', {}, [element('span', {textContent: name, title: name}), cell, share]));
      return {bar, share};
    });
  }

  makeEach() {
    $('each-section').hidden = false;
    return about.choice.names.map((name, index) => {
      const canvas = canvasOf(width, height);
      const button = element('button', {title: `decode as ${name}`}, [canvas, name]);
      button.addEventListener('click', () => {
        this.choose(index);
        this.want('decode');
      });
      $('each').append(button);
      return {button, canvas};
    });
  }

  choose(index) {
    const part = about.choice.part;
    this.code[part] = oneHot(index, about.parts[part]);
  }

  // Makes the code that of a point of the plane.
  goTo(point) {
    const heads = about.map.heads;
    if (heads) {
      const distances = heads.map(([x, y]) => -Math.hypot(x - point[0], y - point[1]));
      this.choose(best(distances));
      const head = heads[best(distances)];
      this.code.style = Float32Array.from(point, (value, axis) => value - head[axis]);
    } else {
      this.code.style = Float32Array.from(point);
    }
    this.want('decode');
  }

  // Where the code is on the plane.
  where() {
    const {heads} = about.map;
    if (!heads) return [...this.code.style];
    const shares = this.code[about.choice.part];
    return [0, 1].map((axis) =>
      heads.reduce((sum, head, index) => sum + shares[index] * head[axis], this.code.style[axis]));
  }

  // Has what is shown brought up to date; changes that come meanwhile are taken together.
  async want(what) {
    this.due[what] = true;
    if (document.body.dataset.state === 'busy') return;
    document.body.dataset.state = 'busy';
    try {
      while (this.due.encode || this.due.decode) {
        if (this.due.encode) await this.encode();
        await this.decode();
        await new Promise(requestAnimationFrame);
      }
      document.body.dataset.state = 'ready';
    } catch (error) {
      document.body.dataset.state = 'failed';
      complain(`The model failed: ${error.message}`);
    }
  }

  async encode() {
    this.due.encode = false;
    const pixels = this.pad.pixels();
    paint($('seen'), pixels, 255);
    const outputs = await this.encoder.run({[about.input]: pixels});
    for (const part of about.encoder_parts) {
      this.code[part] = part === about.prediction ? uncalibrated(outputs[part]) : outputs[part];
    }
    this.nearest.show(about.encoder_parts.flatMap((part) => [...outputs[part]]));
    if (about.prediction) this.showPrediction([...outputs[about.prediction]]);
  }

  showPrediction(shares) {
    const name = about.predicted_names[best(shares)];
    $('answer').textContent = `${name} (${percent(Math.max(...shares))})`;
    shares.forEach((share, index) => {
      this.bars[index].bar.style.width = `${100 * share}%`;
      this.bars[index].share.textContent = percent(share);
    });
  }

  async decode() {
    this.due.decode = false;
    const start = performance.now();
    const image = await this.decoded(this.code);
    $('time').textContent = `decoded in ${(performance.now() - start).toFixed(1)} ms`;
    paint($('decoded'), image, 1);
    this.plane?.mark(this.where(), image);
    this.sliders.forEach(({input, value}, index) => {
      input.value = this.code.style[index];
      value.textContent = this.code.style[index].toFixed(2);
    });
    await this.decodeEach();
  }

  async decodeEach() {
    if (!about.choice) return;
    const {part} = about.choice;
    const [style, chosen] = [this.code.style, best([...this.code[part]])];
    for (const [index, {button, canvas}] of this.each.entries()) {
      if (this.due.encode || this.due.decode) return;  // There will be newer ones.
      const code = {style, [part]: oneHot(index, about.parts[part])};
      paint(canvas, await this.decoded(code), 1);
      button.setAttribute('aria-pressed', index === chosen);
    }
  }

  async decoded(code) {
    return (await this.decoder.run(code))[about.input];
  }
}

function complain(text) {
  document.querySelector('[role="alert"]').textContent = text;
}

// A picture of examples, one below the other.
async function strip(path) {
  const picture = new Image();
  picture.src = path;
  await picture.decode();
  return picture;
}

const example = (picture, index) => scaled(picture, 0, index * height, width, height);

// The held-out examples, each a button that puts it on the pad.
async function addExamples(pad) {
  const examples = await strip('examples.png');
  return Array.from({length: about.examples}, (_, index) => {
    const canvas = example(examples, index);
    const button = element('button', {}, [canvas]);
    button.setAttribute('aria-label', `Example ${index + 1}`);
    button.addEventListener('click', () => pad.show(pixelsOf(canvas)));
    $('examples').append(button);
    return button;
  });
}

async function main() {
  about = await (await fetch('model.json')).json();
  [height, width, channels] = about.shape;
  await loadLiteRt('litert/wasm/');
  const networks = ['encode.tflite', 'decode.tflite'].map((path) => Network.load(path));
  const nearest = new Nearest(await strip('training.png'));
  const explorer = new Explorer(...await Promise.all(networks), nearest);
  const [first] = await addExamples(explorer.pad);
  first.click();
}

main().catch((error) => {
  document.body.dataset.state = 'failed';
  complain(`The model can't be loaded: ${error.message}`);
});
