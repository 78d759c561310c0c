/** The id of `plugin.json`, by which Grafana knows the pages and the proxy. */
export const PLUGIN_ID = 'celerytrail-app';

/** Where Grafana passes requests on to the action API. No other address is called. */
export const PROXY = `/api/plugin-proxy/${PLUGIN_ID}`;

export type Page = '' | 'purge' | 'retry-chord';

/** Returns the page that an address inside Grafana names; the start page for anything unknown. */
export function pageOf(pathname: string): Page {
  const [, rest = ''] = pathname.split(`/a/${PLUGIN_ID}/`);
  const name = rest.replace(/\/+$/, '');
  return name === 'purge' || name === 'retry-chord' ? name : '';
}

/** Returns the address of a page, with everything it is about in the query. */
export function pageAddress(page: Page, query: Record<string, string> = {}): string {
  const search = new URLSearchParams(query).toString();
  return `/a/${PLUGIN_ID}${page && `/${page}`}${search && `?${search}`}`;
}
