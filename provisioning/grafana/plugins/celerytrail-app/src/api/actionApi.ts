import { getBackendSrv } from '@grafana/runtime';
import { map, type Observable } from 'rxjs';
import { type Deployment } from '../deployment';
import { PROXY } from '../paths';
import { type PerformedAction, type Preview, type QueueDepth, type Verb, type WhoAmI } from './types';

/** The thing a verb is about: a queue or a group, by the name that the API has for it. */
export type Target = Deployment & Record<string, string>;

const ROLE_OF_VERB: Record<Verb, 'admin' | 'operator'> = { purge: 'admin', 'retry-chord': 'operator' };

/** Asks what the verb would touch, and for the token that confirms just that. Changes nothing. */
export function preview<Shown>(verb: Verb, target: Target): Observable<Preview<Shown>> {
  return post<Preview<Shown>>(`${ROLE_OF_VERB[verb]}/preview/${verb}`, target);
}

/** Does what was shown. A confirmation is good once, so sending this again cannot do it twice. */
export function perform(
  verb: Verb,
  request: Target & { confirmation: string; reason?: string }
): Observable<PerformedAction> {
  return post<PerformedAction>(`${ROLE_OF_VERB[verb]}/${verb}`, request);
}

/** Asks who the action API takes us for, and what we may do where. */
export function whoAmI(): Observable<WhoAmI> {
  return get<WhoAmI>('viewer/whoami');
}

/** Asks which queues there are, and what waits in them. */
export function queuesOf(deployment: Deployment): Observable<QueueDepth[]> {
  return get<{ queues: QueueDepth[] }>('viewer/queues', { ...deployment }).pipe(map(({ queues }) => queues));
}

/** Everything is in the JSON body: Grafana's proxy would encode a path a second time. */
function post<Answer>(path: string, data: Record<string, string>) {
  return send<Answer>({
    method: 'POST',
    url: `${PROXY}/${path}`,
    data,
    headers: { 'Content-Type': 'application/json', 'X-Celerytrail-Action': '1' },
  });
}

function get<Answer>(path: string, params: Record<string, string> = {}) {
  return send<Answer>({ method: 'GET', url: `${PROXY}/${path}`, params });
}

type Request = Parameters<ReturnType<typeof getBackendSrv>['fetch']>[0];

/** The pages show answers themselves; Grafana's pop-ups would say the same a second time. */
function send<Answer>(request: Request): Observable<Answer> {
  return getBackendSrv()
    .fetch<Answer>({ ...request, showErrorAlert: false, showSuccessAlert: false })
    .pipe(map(({ data }) => data));
}
