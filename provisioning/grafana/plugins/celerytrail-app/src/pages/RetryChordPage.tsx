import React, { type FormEvent, useMemo, useState } from 'react';
import { locationService } from '@grafana/runtime';
import { Alert, Button, Field, Input, LoadingPlaceholder, Text } from '@grafana/ui';
import { type ChordPreview, type PerformedAction } from '../api/types';
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
import { counted } from '../wording';

/** Sends all members of a chord and its body again: shows them, asks, and says under which ids. */
export function RetryChordPage() {
  const query = locationService.getSearch();
  const deployment = deploymentIn(query);
  const group = query.get('group_id') ?? '';
  return (
    <ActionPage
      title="Retry a whole chord"
      subTitle="Send every member of its header again, under new ids, and the body after them."
    >
      {deployment && group ? (
        <RetryChord key={JSON.stringify([deployment, group])} deployment={deployment} group={group} />
      ) : (
        <ChooseChord named={deployment} />
      )}
    </ActionPage>
  );
}

function ChooseChord({ named }: { named: Deployment | null }) {
  const [deployment, setDeployment] = useState(named);
  const [group, setGroup] = useState('');
  const show = (event: FormEvent) => {
    event.preventDefault();
    if (deployment && group.trim()) {
      locationService.push(pageAddress('retry-chord', { ...deployment, group_id: group.trim() }));
    }
  };
  return (
    <form onSubmit={show}>
      <DeploymentField verb="retry-chord" chosen={deployment} onChoose={setDeployment} />
      <Field label="Group id" description="The Workflow dashboard shows it, and links to this page" htmlFor="group-id">
        <Input id="group-id" width={60} value={group} onChange={(event) => setGroup(event.currentTarget.value)} />
      </Field>
      <Button type="submit" variant="secondary" disabled={!deployment || !group.trim()}>
        Show the chord
      </Button>
    </form>
  );
}

const SAMPLE = { task_name: 'Task', task_id: 'Id', state: 'State' };
const RESULT = { task_id: 'Old task', new_task_id: 'New task', result: 'Result', message: 'Message' };
const LINKS = ['task_id', 'new_task_id'];

function RetryChord({ deployment, group }: { deployment: Deployment; group: string }) {
  const target = useMemo(() => ({ ...deployment, group_id: group }), [deployment, group]);
  const { stage, look, confirm } = useConfirmedAction<ChordPreview>('retry-chord', target);

  if (stage.name === 'looking') {
    return <LoadingPlaceholder text="Looking at the chord …" />;
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
        <ResultAlert action={stage.action} onLookAgain={look} links={linksOf(deployment, stage.action)} />
        <TaskTable deployment={deployment} columns={RESULT} links={LINKS} rows={stage.action.tasks.map(asRow)} />
      </>
    );
  }

  const { shown, deadline } = stage.offer;
  return (
    <>
      <Figures figures={figuresOf(deployment, group, shown)} />
      {shown.failed === 0 && (
        <Alert severity="info" title={`No member of this ${shown.kind} has failed`}>
          You may run it again all the same.
        </Alert>
      )}
      <section>
        <Text element="h2" variant="h4">
          {shown.sample.length < shown.members ? `${shown.sample.length} of its members` : 'Its members'}
        </Text>
        <TaskTable deployment={deployment} columns={SAMPLE} links={LINKS} rows={shown.sample.map(asRow)} />
      </section>
      <ConfirmForm
        doIt={`Retry ${counted(shown.members, 'member')}${shown.body ? ' and the body' : ''}`}
        deadline={deadline}
        sending={stage.name === 'sending'}
        onConfirm={(reason) => confirm(stage.offer, reason)}
        onLookAgain={look}
      />
    </>
  );
}

function figuresOf(deployment: Deployment, group: string, { kind, members, failed, body }: ChordPreview): Figure[] {
  return [
    { name: 'Deployment', value: <Name>{labelOf(deployment)}</Name> },
    { name: kind === 'group' ? 'Group' : 'Chord', value: <Name>{group}</Name> },
    { name: 'Members', value: members.toLocaleString('en') },
    { name: 'Of these failed', value: failed.toLocaleString('en'), alarming: failed > 0 },
    { name: 'Body', value: body?.task_name ? <Name>{body.task_name}</Name> : 'none' },
  ];
}

function linksOf(deployment: Deployment, { new_group_id: group, tasks }: PerformedAction): Record<string, string> {
  const task = tasks.find(({ new_task_id }) => new_task_id)?.new_task_id;
  return {
    ...(group && { 'Open the new workflow': dashboardAddress('workflow', deployment, { workflow_id: group }) }),
    ...(!group && task && { 'Open a new task': dashboardAddress('task', deployment, { task_id: task }) }),
    'Open the Audit dashboard': dashboardAddress('audit', deployment),
  };
}

function asRow<Task extends object>(task: Task) {
  return { ...task } as Record<string, string | null>;
}
