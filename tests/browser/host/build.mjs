/**
 * Bundles the host page: `node build.mjs NODE_MODULES OUT`.
 *
 * NODE_MODULES is that of `newest` or `oldest`, so that the same page stands for both ends of the
 * versions of Grafana that the plugin is for.
 */
import { createRequire } from 'node:module';
import path from 'node:path';

const [modules, out] = process.argv.slice(2).map((given) => path.resolve(given));
const { build } = createRequire(path.join(modules, 'host.js'))('esbuild');

await build({
  entryPoints: [path.join(import.meta.dirname, 'src', 'host.jsx')],
  outdir: out,
  nodePaths: [modules],
  bundle: true,
  splitting: true,
  format: 'esm',
  jsx: 'transform',
  target: 'chrome120',
  minifyWhitespace: true,
  logLevel: 'error',
  define: { 'process.env.NODE_ENV': '"production"', 'process.env.NODE_DEBUG': '""', global: 'globalThis' },
  loader: { '.svg': 'text', '.woff2': 'empty', '.ttf': 'empty' },
  // 11.6 imports the CommonJS form from ES modules, which webpack takes and esbuild, like Node, does not.
  alias: { 'react-use/lib': 'react-use/esm' },
  mainFields: ['module', 'browser', 'main'],
  conditions: ['import', 'browser', 'module'],
});
