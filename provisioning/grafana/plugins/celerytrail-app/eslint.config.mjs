import { defineConfig } from 'eslint/config';
import scaffold from './.config/eslint.config.mjs';

export default defineConfig([
  { ignores: ['dist/', 'node_modules/', '.config/', 'webpack.config.ts'] },
  ...scaffold,
  {
    files: ['src/**/*.{ts,tsx}'],
    rules: {
      // What is deprecated in 11.6 may be gone in 13: a warning would be overlooked.
      '@typescript-eslint/no-deprecated': 'error',
    },
  },
]);
