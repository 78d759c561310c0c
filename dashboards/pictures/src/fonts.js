// Loads the fonts of Grafana before anything is measured or drawn.

const FACES = [
  ['Inter', '400', 'normal', '/fonts/Inter-Regular.woff2'],
  ['Inter', '500', 'normal', '/fonts/Inter-Medium.woff2'],
  ['Inter', '400', 'italic', '/fonts/Inter-Italic.woff2'],
  ['Roboto Mono', '400', 'normal', '/fonts/roboto-mono-latin-400-normal.woff2'],
  ['Roboto Mono', '500', 'normal', '/fonts/roboto-mono-latin-500-normal.woff2'],
];

export async function loadFonts() {
  await Promise.all(
    FACES.map(async ([family, weight, style, address]) => {
      const face = new FontFace(family, `url(${address})`, { weight, style });
      document.fonts.add(await face.load());
    })
  );
  await document.fonts.ready;
}
