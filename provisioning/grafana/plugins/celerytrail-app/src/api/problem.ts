import { isFetchError } from '@grafana/runtime';

/**
 * What sensible people do next: look again and confirm what they see then, send the very same once
 * more, or nothing, since the answer would be the same.
 */
export type NextStep = 'look-again' | 'send-again' | 'none';

/** A refusal or a failure, in words. */
export interface Problem {
  title: string;
  detail: string;
  next: NextStep;
  status: number;
  code: string;
  requestId: string;
}

interface Words {
  title: string;
  advice?: string;
  next?: NextStep;
}

const WORDS: Record<string, Words> = {
  depth_grown: {
    title: 'The queue has grown since you looked',
    advice: 'Nothing was removed. Look again, and confirm the number that is true now.',
  },
  members_changed: {
    title: 'The chord has changed since you looked',
    advice: 'Nothing was sent. Look again, and confirm what is true now.',
  },
  confirmation_expired: {
    title: 'You took longer than the preview is good for',
    advice: 'Nothing was done. Look again: the numbers may have changed.',
  },
  confirmation_used: {
    title: 'This preview was confirmed already',
    advice: 'Nothing was done a second time. The Audit dashboard shows what the first confirmation did.',
  },
  not_authenticated: {
    title: 'The action API does not believe who you are',
    advice: 'Sign in to Grafana again. If it stays so, the settings of this plugin do not fit those of the action API.',
  },
  not_allowed: { title: 'You may not do this here' },
  not_found: { title: 'There is no such thing', next: 'look-again' },
  refused: { title: 'Refused' },
  too_many_requests: { title: 'Too many requests', advice: 'Wait a minute, then try again.', next: 'send-again' },
  unavailable: { title: 'The action API cannot do its work now' },
  broker_unavailable: { title: 'The broker cannot be reached' },
  ledger_broken: { title: 'The ledger does not hold together here, so nothing is sent from it', next: 'none' },
  in_progress: { title: 'The same is being done right now' },
};

const NO_WORDS: Words = { title: '' };

/** Returns what an error of Grafana's request means: the API's answer, Grafana's own, or none at all. */
export function problemOf(error: unknown): Problem {
  if (!isFetchError(error)) {
    return noAnswer(error instanceof Error ? error.message : '');
  }
  const answer = membersOf(error.data);
  const code = textOf(answer.code);
  if (code === '') {
    return fromGrafana(error.status, textOf(answer.message));
  }
  const words = WORDS[code] ?? NO_WORDS;
  return {
    title: words.title || textOf(answer.title) || 'Refused',
    detail: sentences(textOf(answer.detail), words.advice),
    // A refusal by how things are (409) or an outage (503) may be over at the next look.
    next: words.next ?? (error.status === 409 || error.status === 503 ? 'look-again' : 'none'),
    status: error.status,
    code,
    requestId: textOf(answer.request_id),
  };
}

/** Grafana's proxy answers itself where the role of the route is missing or the API is not there. */
function fromGrafana(status: number, message: string): Problem {
  const problem = { status, code: '', requestId: '', next: 'none' as NextStep };
  if (status === 401) {
    return { ...problem, title: 'You are signed out', detail: 'Sign in to Grafana again.' };
  }
  if (status === 403) {
    return {
      ...problem,
      title: 'Your role in this organisation does not allow this',
      detail: 'Purging needs the role Admin, retrying a chord the role Editor. Grafana did not pass the request on.',
    };
  }
  if (status === 404) {
    return {
      ...problem,
      title: 'This plugin has no way to the action API',
      detail: 'The plugin is not enabled in this organisation, or was built without its routes.',
    };
  }
  if (status >= 500) {
    return {
      ...problem,
      title: 'The action API cannot be reached',
      detail: sentences('Grafana got no proper answer from it, so it is not known what was done.', message),
      next: 'send-again',
    };
  }
  return status > 0
    ? { ...problem, title: 'Grafana refused the request', detail: sentences(`Status ${status}.`, message) }
    : noAnswer(message);
}

function noAnswer(message: string): Problem {
  return {
    title: 'Grafana cannot be reached',
    detail: sentences('There was no answer, so it is not known what was done.', message),
    next: 'send-again',
    status: 0,
    code: '',
    requestId: '',
  };
}

function membersOf(data: unknown): Record<string, unknown> {
  return typeof data === 'object' && data !== null ? { ...data } : {};
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : '';
}

function sentences(...parts: Array<string | undefined>): string {
  return parts
    .filter((part): part is string => Boolean(part))
    .map((part) => (/[.!?]$/.test(part) ? part : `${part}.`))
    .join(' ');
}
