import ReplaceInFileWebpackPlugin from 'replace-in-file-webpack-plugin';
import type { Configuration } from 'webpack';
import { DIST_DIR } from './.config/bundler/constants.ts';
import scaffold, { type Env } from './.config/webpack/webpack.config.ts';

/** Where the action API is in the compose file. */
const ACTION_API_URL = 'http://action-api:8080';

/**
 * Returns the scaffold's configuration with what this plugin changes.
 *
 * `dist` is committed, so the build gives the same bytes everywhere: no source map (the sources lie
 * beside it) and no build cache. `--env actionApiUrl=URL` puts another address into the routes; it is
 * part of the plugin, since an address in its settings could be changed by admins of an organisation.
 */
const config = async (env: Env): Promise<Configuration> => {
  const base = await scaffold(env);
  const actionApiUrl = typeof env.actionApiUrl === 'string' ? env.actionApiUrl : ACTION_API_URL;
  if (!/^https?:\/\/[^\s/{}%"\\]+(\/[^\s{}%"\\]+)*$/.test(actionApiUrl)) {
    throw new Error(`actionApiUrl: ${actionApiUrl} is not an http(s) address without a slash at its end`);
  }
  return {
    ...base,
    cache: false,
    devtool: env.production ? false : base.devtool,
    plugins: [
      ...(base.plugins ?? []),
      new ReplaceInFileWebpackPlugin([
        {
          dir: DIST_DIR,
          files: ['plugin.json'],
          rules: [{ search: /%ACTION_API_URL%/g, replace: actionApiUrl }],
        },
      ]),
    ],
  };
};

export default config;
