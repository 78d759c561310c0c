import { Observable } from 'rxjs';

/**
 * What plugins get from `getBackendSrv`, as far as this one uses it: requests to the same origin, JSON
 * in and out, an error in Grafana's shape for every status beyond 2xx, and Grafana's pop-up for errors
 * unless the plugin shows them itself.
 */
export function backendSrv(showPopUp) {
  return {
    fetch(options) {
      return new Observable((subscriber) => {
        const aborter = new AbortController();
        answerTo(options, aborter.signal).then(
          (answer) => {
            if (answer.ok) {
              subscriber.next(answer);
              subscriber.complete();
              return;
            }
            const { status, statusText, data } = answer;
            if (options.showErrorAlert !== false) {
              showPopUp(data?.message ?? statusText);
            }
            subscriber.error({ status, statusText, data, config: options, traceId: undefined });
          },
          (error) => {
            if (!aborter.signal.aborted) {
              subscriber.error({ status: undefined, statusText: '', data: { message: error.message }, config: options });
            }
          }
        );
        return () => aborter.abort();
      });
    },
  };
}

async function answerTo({ url, method = 'GET', data, params, headers }, signal) {
  const query = new URLSearchParams(params ?? {}).toString();
  const response = await fetch(query ? `${url}?${query}` : url, {
    method,
    signal,
    headers: { Accept: 'application/json, text/plain, */*', 'X-Grafana-Org-Id': '1', ...headers },
    body: data === undefined ? undefined : JSON.stringify(data),
  });
  const text = await response.text();
  return {
    ok: response.ok,
    status: response.status,
    statusText: response.statusText,
    data: parsed(text),
    headers: response.headers,
    url: response.url,
    config: {},
  };
}

/** Grafana leaves an answer that is not JSON as the text it is. */
function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}
