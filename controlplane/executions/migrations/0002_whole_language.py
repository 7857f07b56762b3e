# Begun by Django 5.2.19 on 2026-11-25 15:42

from typing import Any

import orjson
from django.db import migrations, models


def places_of_open_executions(apps: Any, schema_editor: Any) -> None:
    """Expressions of executions that are not over look task runs up by their place."""
    alias = schema_editor.connection.alias
    runs = apps.get_model("executions", "TaskRun").objects.using(alias).filter(place__isnull=True)
    executions = apps.get_model("executions", "Execution").objects.using(alias).filter(ended_at_us__isnull=True)
    for tenant, execution_id in executions.values_list("tenant_id", "id"):
        mine = runs.filter(tenant_id=tenant, execution_id=execution_id)
        for run_id, path, value in list(mine.values_list("id", "path", "value")):
            values = [*(orjson.loads(path) if path else []), *([] if value is None else [value])]
            place = "[" if not values else orjson.dumps(values).decode()[:-1]
            mine.filter(id=run_id).update(place=place)


class Migration(migrations.Migration):

    dependencies = [
        ('executions', '0001_initial'),
    ]

    operations = [
        migrations.CreateModel(
            name='Outbox',
            fields=[
                ('pk', models.CompositePrimaryKey('tenant_id', 'id', blank=True, editable=False, primary_key=True, serialize=False)),
                ('tenant_id', models.CharField(max_length=100)),
                ('id', models.CharField(max_length=22)),
                ('execution_id', models.CharField(max_length=22, null=True)),
                ('kind', models.CharField(max_length=40)),
                ('payload', models.TextField()),
                ('created_at_us', models.BigIntegerField()),
                ('seq', models.BigIntegerField()),
            ],
            options={
                'db_table': 'outbox',
            },
        ),
        migrations.RemoveIndex(
            model_name='execution',
            name='execution_open',
        ),
        migrations.RemoveIndex(
            model_name='taskrun',
            name='task_run_outputs',
        ),
        migrations.AddField(
            model_name='execution',
            name='cause',
            field=models.TextField(null=True),
        ),
        migrations.AddField(
            model_name='execution',
            name='child_index',
            field=models.IntegerField(null=True),
        ),
        migrations.AddField(
            model_name='execution',
            name='extra',
            field=models.TextField(null=True),
        ),
        migrations.AddField(
            model_name='execution',
            name='kind',
            field=models.CharField(default='NORMAL', max_length=20),
        ),
        migrations.AddField(
            model_name='execution',
            name='parent_execution_id',
            field=models.CharField(max_length=22, null=True),
        ),
        migrations.AddField(
            model_name='execution',
            name='parent_task_run_id',
            field=models.CharField(max_length=22, null=True),
        ),
        migrations.AddField(
            model_name='execution',
            name='schedule_at_us',
            field=models.BigIntegerField(null=True),
        ),
        migrations.AddField(
            model_name='handout',
            name='fallback',
            field=models.CharField(max_length=10, null=True),
        ),
        migrations.AddField(
            model_name='taskrun',
            name='dynamic',
            field=models.BooleanField(default=False),
        ),
        migrations.AddField(
            model_name='taskrun',
            name='place',
            field=models.TextField(null=True),
        ),
        migrations.AlterField(
            model_name='timer',
            name='kind',
            field=models.CharField(max_length=300),
        ),
        migrations.AddIndex(
            model_name='execution',
            index=models.Index(condition=models.Q(('state__in', ['SUCCESS', 'WARNING', 'FAILED', 'KILLED', 'CANCELLED', 'RETRIED']), _negated=True), fields=['tenant_id', 'state', 'namespace', 'flow_id'], name='execution_open'),
        ),
        migrations.AddIndex(
            model_name='execution',
            index=models.Index(condition=models.Q(('state', 'QUEUED')), fields=['tenant_id', 'namespace', 'flow_id', 'created_at_us'], name='execution_queued'),
        ),
        migrations.AddIndex(
            model_name='execution',
            index=models.Index(condition=models.Q(('parent_execution_id__isnull', False)), fields=['tenant_id', 'parent_execution_id', 'parent_task_run_id', 'child_index'], name='execution_children'),
        ),
        migrations.AddIndex(
            model_name='handout',
            index=models.Index(condition=models.Q(('fallback__isnull', False), ('lease_id__isnull', True)), fields=['tenant_id', 'worker_group'], name='hand_out_fallback'),
        ),
        migrations.AddIndex(
            model_name='taskrun',
            index=models.Index(condition=models.Q(('outputs__isnull', False)), fields=['execution_id', 'task_id', 'place'], name='task_run_outputs', opclasses=['', '', 'text_pattern_ops']),
        ),
        migrations.AddIndex(
            model_name='outbox',
            index=models.Index(fields=['created_at_us', 'seq'], name='outbox_by_date'),
        ),
        migrations.RunPython(places_of_open_executions, migrations.RunPython.noop, elidable=True),
    ]
