import React from 'react';
import { Alert, Combobox, Field, LoadingPlaceholder } from '@grafana/ui';
import { whoAmI } from '../api/actionApi';
import { type Verb } from '../api/types';
import { useAnswer } from '../api/useAnswer';
import { type Deployment, labelOf } from '../deployment';
import { ProblemAlert } from './ProblemAlert';

interface Props {
  verb: Verb;
  chosen: Deployment | null;
  onChoose: (deployment: Deployment) => void;
}

/** Lets the user choose among the deployments where the action API lets them do this. */
export function DeploymentField({ verb, chosen, onChoose }: Props) {
  const { answer, problem, askAgain } = useAnswer(whoAmI);
  if (problem) {
    return <ProblemAlert problem={problem} onLookAgain={askAgain} />;
  }
  if (!answer) {
    return <LoadingPlaceholder text="Asking the action API what you may do …" />;
  }
  const permitted = answer.deployments.filter(({ verbs }) => verbs.includes(verb));
  if (permitted.length === 0) {
    return (
      <Alert severity="warning" title="You may not do this in any deployment">
        The action API knows you as {answer.name}, {answer.role}. Its configuration file says what an organisation may
        do where.
      </Alert>
    );
  }
  return (
    <Field label="Deployment" description="Namespace, service and environment">
      <Combobox
        id="deployment"
        width={60}
        options={permitted.map((deployment) => ({ value: labelOf(deployment) }))}
        value={chosen && labelOf(chosen)}
        placeholder="Choose one"
        onChange={({ value }) => {
          const found = permitted.find((deployment) => labelOf(deployment) === value);
          if (found) {
            onChoose({ namespace: found.namespace, service: found.service, environment: found.environment });
          }
        }}
      />
    </Field>
  );
}
