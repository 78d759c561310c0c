import React from 'react';
import { Text } from '@grafana/ui';

/** Says how long the preview may still be confirmed. Read out on demand only, not every second. */
export function Countdown({ secondsLeft }: { secondsLeft: number }) {
  const time = `${Math.floor(secondsLeft / 60)}:${String(secondsLeft % 60).padStart(2, '0')}`;
  return (
    <div role="timer" aria-live="off">
      <Text color={secondsLeft < 20 ? 'warning' : 'secondary'}>What you see may be confirmed for {time} more.</Text>
    </div>
  );
}
