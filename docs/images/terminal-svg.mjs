// Draws what a terminal shows at the end of a recorded run, colours and all, as SVG. The picture in the README:
//   ./modelops doctor >/dev/null                                            # builds, so that the recording begins with the run
//   script -qefc 'stty cols 100; ./modelops quickstart --yes --home "$(mktemp -d)"' quickstart.typescript
//   node docs/images/terminal-svg.mjs quickstart.typescript './modelops quickstart' 'This run' > docs/images/quickstart.svg
// Arguments: the recording, the command as the picture shall name it, and the text at whose line the picture ends.
import { readFileSync } from "node:fs";

const [file, command, end] = process.argv.slice(2);
const palette = { 30: "#484f58", 31: "#ff7b72", 32: "#7ee787", 33: "#e3b341", 34: "#79c0ff", 35: "#d2a8ff", 36: "#56d4dd", 37: "#e6edf3", 90: "#8b949e" };
const indexed = { 2: palette[32], 8: palette[90], 10: palette[32], 7: palette[37], 15: palette[37] };

// A screen without a bottom: rows of cells, a cursor, and the style of what is written next.
const rows = [[]];
let [row, column, style] = [0, 0, {}];
const text = readFileSync(file, "utf8").split("\n").filter((line) => !/^Script (started|done)/.test(line)).join("\n");
for (const [, parameters, final, other] of text.matchAll(/\x1b\[([?\d;]*)([A-Za-z])|(\x1b\][^\x07]*\x07|\x1b[^[]|[\s\S])/gu)) {
  if (final) control(final, parameters);
  else if (other === "\r") column = 0;
  else if (other === "\n") rows[++row] ??= [];
  else if (other >= " ") rows[row][column++] = { character: other, ...style };
}

function control(final, parameters) {
  const numbers = parameters.split(";").map(Number);
  const n = numbers[0] || 1;
  if (final === "A") row = Math.max(0, row - n);
  else if (final === "B") while (row < row + n && !rows[row + n]) rows.push([]);
  else if (final === "C") column += n;
  else if (final === "D") column = Math.max(0, column - n);
  else if (final === "G") column = n - 1;
  else if (final === "K") rows[row] = numbers[0] === 2 ? [] : rows[row].slice(0, column);
  else if (final === "J") { rows[row] = rows[row].slice(0, column); rows.length = row + 1; }
  else if (final === "m") styled(numbers);
}

function styled(numbers) {
  for (let i = 0; i < numbers.length; i++) {
    const n = numbers[i];
    if (n === 0) style = {};
    else if (n === 1) style = { ...style, bold: true };
    else if (n === 39) style = { ...style, colour: undefined };
    else if (n === 38 && numbers[i + 1] === 5) { style = { ...style, colour: indexed[numbers[i + 2]] ?? palette[90] }; i += 2; }
    else if (n === 38 && numbers[i + 1] === 2) { style = { ...style, colour: `rgb(${numbers.slice(i + 2, i + 5)})` }; i += 4; }
    else if (palette[n]) style = { ...style, colour: palette[n] };
    else if (n > 90 && n < 98) style = { ...style, colour: palette[n - 60] };
  }
}

const [width, height, margin] = [8.4, 18, 16];
const prompt = [...`$ ${command}`].map((character, i) => ({ character, bold: i > 1, colour: i > 1 ? palette[37] : palette[32] }));
const stop = rows.findIndex((cells) => plain(cells).startsWith(end));
const shown = [prompt, ...rows.slice(0, stop < 0 ? rows.length : stop)];
while (shown.length > 0 && plain(shown.at(-1)).trim() === "") shown.pop();
const columns = Math.max(...shown.map((cells) => cells.length));
const [w, h] = [columns * width + 2 * margin, shown.length * height + 2 * margin];
console.log(`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${w.toFixed(0)} ${h}" font-family="ui-monospace,SFMono-Regular,Menlo,Consolas,'DejaVu Sans Mono',monospace" font-size="14">`);
console.log(`<rect width="100%" height="100%" rx="8" fill="#0d1117"/>`);
shown.forEach((cells, y) => runs(cells).forEach(([x, { colour, bold }, part]) => console.log(
  `<text x="${(margin + x * width).toFixed(1)}" y="${margin + (y + 0.75) * height}" textLength="${(part.length * width).toFixed(1)}" lengthAdjust="spacingAndGlyphs" xml:space="preserve" fill="${colour ?? palette[37]}"${bold ? ' font-weight="bold"' : ""}>${escaped(part)}</text>`)));
console.log("</svg>");

function plain(cells) { return Array.from(cells, (cell) => cell?.character ?? " ").join(""); }

/** Cells of one style that stand together, each as its column, style and text; those that are blank are left out. */
function runs(cells) {
  const found = [];
  Array.from(cells, (cell) => cell ?? { character: " " }).forEach((cell, x) => {
    const last = found.at(-1);
    if (last && last[1].colour === cell.colour && last[1].bold === cell.bold) last[2] += cell.character;
    else found.push([x, cell, cell.character]);
  });
  return found.map(([x, cell, part]) => [x, cell, part.trimEnd()]).filter(([, , part]) => part.trim() !== "");
}

function escaped(part) { return part.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;"); }
