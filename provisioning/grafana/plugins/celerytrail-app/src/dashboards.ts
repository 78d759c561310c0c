import { locationUtil } from '@grafana/data';
import { type Deployment } from './deployment';

type Dashboard = 'audit' | 'tasks' | 'task' | 'workflow';

/** What the dashboards' variables call a namespace or environment that is empty. */
const NONE = '(none)';

/**
 * Returns the address of one of the provisioned dashboards, its variables set.
 *
 * Grafana may live under a path of its own (`serve_from_sub_path`), which is put in front.
 */
export function dashboardAddress(
  dashboard: Dashboard,
  { namespace, service, environment }: Deployment,
  variables: Record<string, string> = {}
): string {
  const all = { namespace: namespace || NONE, service, environment: environment || NONE, ...variables };
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(all)) {
    query.set(`var-${name}`, value);
  }
  return locationUtil.assureBaseUrl(`/d/celerytrail-${dashboard}?${query}`);
}
