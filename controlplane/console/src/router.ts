/** Addresses of the console. Shapes are a contract: links written by other tools open the right page. */
import { createRouter, createWebHistory, type RouteLocationNormalized, type RouteLocationRaw } from 'vue-router'
import { useSession } from '@/features/access/session'
import { ApiProblem } from '@/shared/api/client'

export const router = createRouter({
  history: createWebHistory('/ui/'),
  routes: [
    { path: '/setup', name: 'setup', component: () => import('@/features/access/SetupPage.vue'), meta: { open: true, title: 'Setup' } },
    { path: '/login', name: 'login', component: () => import('@/features/access/LoginPage.vue'), meta: { open: true, title: 'Sign in' } },
    { path: '/unreachable', name: 'unreachable', component: () => import('@/features/frame/UnreachablePage.vue'), meta: { open: true, title: 'Waiting' } },
    { path: '/', name: 'home', component: { render: () => null } },
    { path: '/:tenant', redirect: (to) => ({ name: 'executions', params: to.params }) },
    {
      path: '/:tenant/executions',
      name: 'executions',
      component: () => import('@/features/executions/ExecutionsPage.vue'),
      meta: { section: 'executions', title: 'Executions' },
    },
    {
      path: '/:tenant/executions/:namespace/:flowId/:executionId/:tab(overview|gantt|logs|outputs|data)?',
      name: 'execution',
      component: () => import('@/features/executions/ExecutionPage.vue'),
      meta: { section: 'executions', title: 'Execution' },
    },
    {
      path: '/:tenant/flows',
      name: 'flows',
      component: () => import('@/features/flows/FlowsPage.vue'),
      meta: { section: 'flows', title: 'Flows' },
    },
    {
      path: '/:tenant/flows/edit/:namespace/:flowId/:tab(overview|source|executions)?',
      name: 'flow',
      component: () => import('@/features/flows/FlowPage.vue'),
      meta: { section: 'flows', title: 'Flow' },
    },
    { path: '/:rest(.*)*', name: 'missing', component: () => import('@/features/frame/MissingPage.vue'), meta: { title: 'Not found' } },
  ],
})

router.beforeEach(async (to) => {
  if (to.name === 'unreachable') return true
  try {
    return await mayOpen(to)
  } catch (error) {
    if (error instanceof ApiProblem && (error.status === 0 || error.status >= 500)) return { name: 'unreachable', query: { from: to.fullPath }, replace: true }
    throw error
  }
})

async function mayOpen(to: RouteLocationNormalized): Promise<boolean | RouteLocationRaw> {
  const session = useSession()
  if (!(await session.isSetUp())) return to.name === 'setup' ? true : { name: 'setup' }
  if (to.name === 'setup') return { name: session.me ? 'home' : 'login' }
  if (!session.me && !(await session.load())) return to.meta.open ? true : { name: 'login', query: to.fullPath === '/' ? {} : { from: to.fullPath } }
  if (to.name === 'login') return { name: 'home' }
  if (to.name === 'home') return session.homeTenant ? { name: 'executions', params: { tenant: session.homeTenant } } : true
  if (typeof to.params.tenant === 'string') session.remember(to.params.tenant)
  return true
}

router.afterEach((to) => {
  const subject = to.params.flowId ? `${String(to.params.flowId)} · ` : ''
  document.title = `${subject}${String(to.meta.title ?? '')} · Headrace`.replace(/^ · /, '')
})
