import { type Deployment } from '../deployment';

/** What the action API answers; its OpenAPI document is at `/v1/openapi.json`. */

export type Verb = 'purge' | 'retry-chord';

export interface PermittedDeployment extends Deployment {
  label: string;
  verbs: string[];
}

export interface WhoAmI {
  name: string;
  role: string;
  org_id: number | null;
  deployments: PermittedDeployment[];
}

export interface QueueDepth {
  queue: string;
  depth: number | null;
  oldest_age_seconds: number | null;
  consumers: number | null;
}

/** The token is good once, for as long as it says, and for what was shown with it. */
export interface Preview<Shown> {
  confirmation: string;
  expires_in_seconds: number;
  preview: Shown;
}

export interface SampledTask {
  task_id: string | null;
  task_name: string | null;
  state?: string | null;
}

export interface PurgePreview {
  depth: number;
  oldest_age_seconds: number | null;
  sample: SampledTask[];
}

export interface ChordPreview {
  /** A group is a chord without a body. */
  kind: 'chord' | 'group';
  members: number;
  failed: number;
  body: SampledTask | null;
  sample: SampledTask[];
}

export interface ActionTask {
  task_id: string | null;
  result: string;
  new_task_id: string | null;
  message: string | null;
}

export interface PerformedAction {
  action_id: string;
  verb: string;
  state: 'succeeded' | 'failed' | 'partial' | 'unknown' | 'open';
  message: string;
  duplicate: boolean;
  actor: string;
  tasks: ActionTask[];
  /** The group under which a chord was sent again. */
  new_group_id?: string | null;
}
