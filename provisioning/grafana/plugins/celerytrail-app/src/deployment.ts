/** One Celery application in one place; the same three names as in the agent's settings. */
export interface Deployment {
  namespace: string;
  service: string;
  environment: string;
}

/** Returns the deployment's short name, as dashboards show it. */
export function labelOf({ namespace, service, environment }: Deployment): string {
  return `${namespace}/${service}/${environment}`;
}

/**
 * Returns the deployment that a page's query names, or null where it names none.
 *
 * Namespace and environment may be empty, a service may not.
 */
export function deploymentIn(query: URLSearchParams): Deployment | null {
  const service = query.get('service') ?? '';
  if (service === '') {
    return null;
  }
  return { namespace: query.get('namespace') ?? '', service, environment: query.get('environment') ?? '' };
}
