import React, { type FormEvent, useState } from 'react';
import { Alert, Button, Field, Input, Stack } from '@grafana/ui';
import { Name } from '../components/Name';
import { visible } from '../wording';
import { Countdown } from './Countdown';
import { useSecondsLeft } from './useSecondsLeft';

interface Props {
  /** On the button. */
  doIt: string;
  /** What must be typed before the button works; nothing where the page's button is enough. */
  typed?: { what: string; name: string };
  deadline: number;
  sending: boolean;
  onConfirm: (reason: string) => void;
  onLookAgain: () => void;
}

/** The action API takes no longer one. */
const LONGEST_REASON = 1000;

/** Asks for the confirmation of what is shown above it, while that is good. */
export function ConfirmForm({ doIt, typed, deadline, sending, onConfirm, onLookAgain }: Props) {
  const [name, setName] = useState('');
  const [reason, setReason] = useState('');
  const secondsLeft = useSecondsLeft(deadline);
  if (secondsLeft === 0 && !sending) {
    return (
      <Alert severity="info" title="What you see is too old to be confirmed">
        <Button variant="secondary" icon="eye" onClick={onLookAgain}>
          Look again
        </Button>
      </Alert>
    );
  }

  const isConfirmed = !typed || name === typed.name || name === visible(typed.name);
  const submit = (event: FormEvent) => {
    event.preventDefault();
    if (isConfirmed && !sending) {
      onConfirm(reason.trim());
    }
  };
  return (
    <form onSubmit={submit} autoComplete="off">
      {typed && (
        <Field
          label={`Type the name of the ${typed.what} to confirm`}
          description={<Name>{typed.name}</Name>}
          htmlFor="confirm-name"
        >
          <Input
            id="confirm-name"
            width={60}
            value={name}
            disabled={sending}
            spellCheck={false}
            onChange={(event) => setName(event.currentTarget.value)}
          />
        </Field>
      )}
      <Field label="Reason" description="Optional; it is written to the ledger" htmlFor="confirm-reason">
        <Input
          id="confirm-reason"
          width={60}
          value={reason}
          disabled={sending}
          maxLength={LONGEST_REASON}
          onChange={(event) => setReason(event.currentTarget.value)}
        />
      </Field>
      <Stack gap={2} alignItems="center" wrap="wrap">
        <Button
          type="submit"
          variant="destructive"
          disabled={!isConfirmed || sending}
          icon={sending ? 'spinner' : undefined}
        >
          {doIt}
        </Button>
        {!sending && <Countdown secondsLeft={secondsLeft} />}
      </Stack>
    </form>
  );
}
