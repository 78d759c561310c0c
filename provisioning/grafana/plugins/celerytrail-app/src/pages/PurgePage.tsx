import React, { useCallback, useMemo, useState } from 'react';
import { locationService } from '@grafana/runtime';
import { Combobox, EmptyState, Field, LoadingPlaceholder, Text } from '@grafana/ui';
import { queuesOf } from '../api/actionApi';
import { type PurgePreview, type QueueDepth } from '../api/types';
import { useAnswer } from '../api/useAnswer';
import { ActionPage } from '../components/ActionPage';
import { DeploymentField } from '../components/DeploymentField';
import { type Figure, Figures } from '../components/Figures';
import { Name } from '../components/Name';
import { ProblemAlert } from '../components/ProblemAlert';
import { TaskTable } from '../components/TaskTable';
import { ConfirmForm } from '../confirmation/ConfirmForm';
import { ResultAlert } from '../confirmation/ResultAlert';
import { useConfirmedAction } from '../confirmation/useConfirmedAction';
import { dashboardAddress } from '../dashboards';
import { type Deployment, deploymentIn, labelOf } from '../deployment';
import { pageAddress } from '../paths';
import { ageInWords, counted } from '../wording';

/** Removes all messages that wait in one queue: shows them, asks, and says what became of it. */
export function PurgePage() {
  const query = locationService.getSearch();
  const deployment = deploymentIn(query);
  const queue = query.get('queue') ?? '';
  return (
    <ActionPage title="Purge a queue" subTitle="Remove every message that waits in it. Tasks that run already go on.">
      {deployment && queue ? (
        <PurgeQueue key={JSON.stringify([deployment, queue])} deployment={deployment} queue={queue} />
      ) : (
        <ChooseQueue named={deployment} />
      )}
    </ActionPage>
  );
}

function ChooseQueue({ named }: { named: Deployment | null }) {
  const [deployment, setDeployment] = useState(named);
  return (
    <div>
      <DeploymentField verb="purge" chosen={deployment} onChoose={setDeployment} />
      {deployment && <QueueField key={labelOf(deployment)} deployment={deployment} />}
    </div>
  );
}

function QueueField({ deployment }: { deployment: Deployment }) {
  const { answer, problem, askAgain } = useAnswer(useCallback(() => queuesOf(deployment), [deployment]));
  if (problem) {
    return <ProblemAlert problem={problem} onLookAgain={askAgain} />;
  }
  if (!answer) {
    return <LoadingPlaceholder text="Asking the broker which queues there are …" />;
  }
  if (answer.length === 0) {
    return <EmptyState variant="not-found" message="This deployment has no queue that may be purged" />;
  }
  return (
    <Field label="Queue">
      <Combobox
        id="queue"
        width={60}
        options={answer.map((found) => ({ value: found.queue, description: inWords(found) }))}
        value={null}
        placeholder="Choose one to see what waits in it"
        onChange={({ value }) => locationService.push(pageAddress('purge', { ...deployment, queue: value }))}
      />
    </Field>
  );
}

function inWords({ depth, oldest_age_seconds: age, consumers }: QueueDepth): string {
  return [
    ...(depth === null ? [] : [counted(depth, 'message')]),
    ...(age === null ? [] : [`oldest ${ageInWords(age)}`]),
    ...(consumers === null ? [] : [counted(consumers, 'consumer')]),
  ].join(', ');
}

const SAMPLE = { task_name: 'Task', task_id: 'Id' };
const RESULT = { task_id: 'Task', result: 'Result', message: 'Message' };
const LINKS = ['task_id'];

function PurgeQueue({ deployment, queue }: { deployment: Deployment; queue: string }) {
  const target = useMemo(() => ({ ...deployment, queue }), [deployment, queue]);
  const { stage, look, confirm } = useConfirmedAction<PurgePreview>('purge', target);

  if (stage.name === 'looking') {
    return <LoadingPlaceholder text="Looking into the queue …" />;
  }
  if (stage.name === 'not-shown') {
    return <ProblemAlert problem={stage.problem} onLookAgain={look} />;
  }
  if (stage.name === 'not-done') {
    const { offer, problem, reason } = stage;
    return (
      <ProblemAlert
        problem={problem}
        onLookAgain={look}
        onSendAgain={() => confirm(offer, reason)}
        auditAddress={dashboardAddress('audit', deployment)}
      />
    );
  }
  if (stage.name === 'done') {
    return (
      <>
        <ResultAlert
          action={stage.action}
          onLookAgain={look}
          links={{
            'Open the Audit dashboard': dashboardAddress('audit', deployment),
            'Open the Tasks dashboard': dashboardAddress('tasks', deployment, { queue }),
          }}
        />
        {stage.action.tasks.length > 0 && (
          <TaskTable deployment={deployment} columns={RESULT} links={LINKS} rows={stage.action.tasks.map(asRow)} />
        )}
      </>
    );
  }

  const { shown, deadline } = stage.offer;
  return (
    <>
      <Figures figures={figuresOf(deployment, queue, shown)} />
      {shown.depth === 0 ? (
        <EmptyState variant="completed" message="Nothing waits in this queue" />
      ) : (
        <>
          {shown.sample.length > 0 && (
            <section>
              <Text element="h2" variant="h4">
                {shown.sample.length < shown.depth ? `${shown.sample.length} of them` : 'All of them'}
              </Text>
              <TaskTable deployment={deployment} columns={SAMPLE} links={LINKS} rows={shown.sample.map(asRow)} />
            </section>
          )}
          <ConfirmForm
            doIt={`Remove ${counted(shown.depth, 'message')}`}
            typed={{ what: 'queue', name: queue }}
            deadline={deadline}
            sending={stage.name === 'sending'}
            onConfirm={(reason) => confirm(stage.offer, reason)}
            onLookAgain={look}
          />
        </>
      )}
    </>
  );
}

function figuresOf(deployment: Deployment, queue: string, { depth, oldest_age_seconds: age }: PurgePreview): Figure[] {
  return [
    { name: 'Deployment', value: <Name>{labelOf(deployment)}</Name> },
    { name: 'Queue', value: <Name>{queue}</Name> },
    { name: 'Messages waiting', value: depth.toLocaleString('en'), alarming: depth > 0 },
    { name: 'Oldest waits for', value: age === null ? 'not known' : ageInWords(age) },
  ];
}

function asRow<Task extends object>(task: Task) {
  return { ...task } as Record<string, string | null>;
}
