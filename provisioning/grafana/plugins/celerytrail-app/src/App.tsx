import React from 'react';
import { locationService } from '@grafana/runtime';
import { pageOf } from './paths';
import { PurgePage } from './pages/PurgePage';
import { RetryChordPage } from './pages/RetryChordPage';
import { StartPage } from './pages/StartPage';

/**
 * Draws the page that the address names.
 *
 * Grafana draws this anew when the address changes. No router is needed, and none is used: 11.6 and 13
 * do not share the same one with plugins.
 */
export function App() {
  switch (pageOf(locationService.getLocation().pathname)) {
    case 'purge':
      return <PurgePage />;
    case 'retry-chord':
      return <RetryChordPage />;
    default:
      return <StartPage />;
  }
}
