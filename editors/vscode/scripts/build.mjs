// Builds the extension: `npm run build`, with `-- --dev` for one to debug.
import process from 'node:process';
import { bundle } from './bundle.mjs';

await bundle({ dev: process.argv.includes('--dev') });
