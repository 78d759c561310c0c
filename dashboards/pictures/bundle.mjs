// Bundles src/ for the browser. Takes about three seconds.
import { build } from 'esbuild';
import path from 'node:path';

// Chromium forgets a @font-face of a style sheet for a moment whenever the sheet grows, and text that
// is measured just then gets another font. So @grafana/ui gets none; src/fonts.js loads the same files.
const withoutFontFaces = {
  name: 'without-font-faces',
  setup(bundler) {
    bundler.onLoad({ filter: /GlobalStyles[\\/]fonts\.mjs$/ }, () => ({
      contents: 'import { css } from "@emotion/react"; export const getFontStyles = () => css({});',
      loader: 'js',
      resolveDir: import.meta.dirname,
    }));
  },
};

await build({
  absWorkingDir: import.meta.dirname,
  entryPoints: { picture: 'src/main.jsx', transform: 'src/transform_page.js' },
  outdir: path.join(import.meta.dirname, 'dist'),
  bundle: true,
  splitting: true,
  format: 'esm',
  jsx: 'automatic',
  target: 'chrome110',
  logLevel: 'warning',
  plugins: [withoutFontFaces],
  // What the packages expect of Node or webpack.
  define: { 'process.env.NODE_ENV': '"production"', 'process.env.NODE_DEBUG': '""', global: 'globalThis' },
  mainFields: ['module', 'browser', 'main'],
  conditions: ['import', 'browser', 'module'],
  loader: { '.svg': 'text', '.woff2': 'file', '.ttf': 'file' },
});
