import { fileURLToPath } from 'node:url'
import vue from '@vitejs/plugin-vue'
import { defineConfig } from 'vitest/config'

// Development only: the dev server passes API calls on to a running `headrace up`.
const plane = process.env.HEADRACE_PLANE ?? 'http://127.0.0.1:8080'

export default defineConfig({
  base: '/ui/',
  plugins: [vue()],
  resolve: { alias: { '@': fileURLToPath(new URL('./src', import.meta.url)) } },
  build: {
    outDir: 'static',
    target: 'es2022',
    // The content policy forbids inline scripts, styles and data addresses: everything stays a file of our own.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    rolldownOptions: {
      output: {
        advancedChunks: { groups: [{ name: 'vendor', test: /node_modules/ }] },
      },
    },
  },
  server: {
    host: '127.0.0.1',
    proxy: { '/api': plane, '/login': plane, '/logout': plane, '/ping': plane },
  },
  test: { environment: 'happy-dom', include: ['src/**/*.spec.ts'] },
})
