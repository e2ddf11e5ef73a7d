import { closeBrowser } from './driver/browser';

export const mochaHooks = {
  async afterAll(): Promise<void> {
    await closeBrowser();
  },
};
