Resources, guards and notifications.

### a file is created
file 'DIR/a' do
  content "hello\n"
  mode '0640'
end
#= file[DIR/a] create: updated
#> a hello\n
#~ - create new file DIR/a

### a file that is there is up to date
file 'DIR/a' do
  content 'x'
end
file 'DIR/a' do
  content 'x'
end
#= file[DIR/a] create: updated
#= file[DIR/a] create: up to date

### several actions run in their order
file 'DIR/a' do
  content 'x'
  action [:create, :delete]
end
#once
#= file[DIR/a] create: updated
#= file[DIR/a] delete: updated
#x a

### only_if with a block
file 'DIR/a' do
  only_if { false }
end
#= file[DIR/a] create: skipped (only_if)
#x a

### not_if with a command
file 'DIR/a' do
  not_if 'test -d DIR'
end
#= file[DIR/a] create: skipped (not_if)

### guards of both kinds must all pass
file('DIR/a') { only_if { true }; not_if { false }; only_if 'true' }
file('DIR/b') { only_if { true }; not_if { true } }
#= file[DIR/a] create: updated
#= file[DIR/b] create: skipped (not_if)

### a guard may be a value
file('DIR/a') { not_if 1 < 2 }
#= file[DIR/a] create: skipped (not_if)

### a command guard has options
file('DIR/a') { only_if 'test -f marker', cwd: 'DIR' }
#= file[DIR/a] create: skipped (only_if)

### a command guard has an environment
file('DIR/a') { only_if '[ "$WORD" = yes ]', environment: { 'WORD' => 'yes' } }
#= file[DIR/a] create: updated

### notifies delayed, once
execute 'later' do
  command 'echo later >> DIR/log'
  action :nothing
end
%w[a b].each do |name|
  file("DIR/#{name}") { notifies :run, 'execute[later]' }
end
#= execute[later] nothing: skipped (action :nothing)
#= file[DIR/a] create: updated
#= file[DIR/b] create: updated
#= execute[later] run: updated
#> log later\n

### notifies immediately
execute 'now' do
  command 'echo now'
  action :nothing
end
file('DIR/a') { notifies :run, 'execute[now]', :immediately }
file('DIR/b')
#= execute[now] nothing: skipped (action :nothing)
#= file[DIR/a] create: updated
#= execute[now] run: updated
#= file[DIR/b] create: updated

### notifies before
execute('before') { command 'test ! -e DIR/a'; action :nothing }
file('DIR/a') { content 'x'; notifies :run, 'execute[before]', :before }
#= execute[before] nothing: skipped (action :nothing)
#= execute[before] run: updated
#= file[DIR/a] create: updated

### nothing notifies when nothing changed
file('DIR/a') { content 'x' }
execute('never') { command 'false'; action :nothing }
file('DIR/a') { content 'x'; notifies :run, 'execute[never]', :immediately }
#= file[DIR/a] create: updated
#= execute[never] nothing: skipped (action :nothing)
#= file[DIR/a] create: up to date

### subscribes
execute('sub') { command 'true'; action :nothing; subscribes :run, 'file[DIR/a]', :immediately }
file('DIR/a')
#= execute[sub] nothing: skipped (action :nothing)
#= file[DIR/a] create: updated
#= execute[sub] run: updated

### a notification of what is declared later
file('DIR/a') { notifies :run, 'execute[late]', :immediately }
execute('late') { command 'true'; action :nothing }
#= file[DIR/a] create: updated
#= execute[late] run: updated
#= execute[late] nothing: skipped (action :nothing)

### a notification of nothing is an error with a hint
file('DIR/a') { notifies :run, 'execute[lat]' }
execute('late') { command 'true'; action :nothing }
#! there is no resource `execute[lat]`; did you mean `execute[late]`?

### lazy is evaluated when the resource runs
value = 'old'
ruby_block('set') { block { value = 'new' } }
file('DIR/a') { content lazy { value } }
#> a new

### ruby_block runs
ruby_block 'x' do
  block { puts 'ran' }
end
#= ruby_block[x] run: updated
#< ran

### run_state is for one run
node.run_state['x'] = 1
file('DIR/a') { content lazy { node.run_state['x'].to_s } }
#> a 1

### ignore_failure
execute('fails') { command 'false'; ignore_failure true }
file 'DIR/a'
#= execute[fails] run: ignored
#= file[DIR/a] create: updated

### a failure ends the run
execute('fails') { command 'exit 3' }
file 'DIR/a'
#! execute[fails]
#x a

### retries
execute 'flaky' do
  command 'echo x >> DIR/tries; [ $(wc -l < DIR/tries) -ge 3 ]'
  retries 3
  retry_delay 0
end
#= execute[flaky]: retried
#= execute[flaky]: retried
#= execute[flaky] run: updated

### an unknown property has a hint
file('DIR/a') { contents 'x' }
#! undefined property or method `contents` for file[DIR/a]; did you mean `content`?

### an unknown resource has a hint
flie 'DIR/a' do
  content 'x'
end
#! there is no resource `flie`; did you mean `file`?

### an unknown action has a hint
file('DIR/a') { action :creat }
#! file[DIR/a] has no action :creat; did you mean :create?

### a wrong type names property and value
file('DIR/a') { content ['x'] }
#! Option content must be a kind of

### the error has file and line
file 'DIR/a'
raise 'on purpose'
#! DIR/cookbooks/t/recipes/default.rb:2: on purpose

### the error of a resource has its line
file 'DIR/a'

execute 'false'
#! execute[false] (DIR/cookbooks/t/recipes/default.rb:3)

### return ends a recipe
file 'DIR/a'
return if true
file 'DIR/b'
#= file[DIR/a] create: updated

### return within a block ends a recipe
%w[a b].each { |name| file "DIR/#{name}"; return }
#= file[DIR/a] create: updated

### a resource object can be asked
f = file('DIR/a')
ruby_block('ask') { block { puts f.updated_by_last_action?.inspect } }
#< true

### dry run changes nothing and says what would
file('DIR/a') { content 'x' }
execute('echo x > DIR/b')
ruby_block('c') { block { File.write('DIR/c', '') } }
#dry
#= file[DIR/a] create: updated
#= execute[echo x > DIR/b] run: updated
#= ruby_block[c] run: updated
#x a
#x b
#x c

### syntax errors name file and line
file 'DIR/a' do
  content 'x'
#! DIR/cookbooks/t/recipes/default.rb

### resources may have the same name
log('x') { level :info }
log('x') { level :warn }
#= log[x] write: up to date
#= log[x] write: up to date

### declare_resource
declare_resource(:file, 'DIR/a') { content 'x' }
#= file[DIR/a] create: updated

### find_resource makes one if there is none
find_resource(:file, 'DIR/a') { content 'x' }
find_resource(:file, 'DIR/a') { content 'y' }
#= file[DIR/a] create: updated
#> a x

### edit_resource changes one
file('DIR/a') { content 'x' }
edit_resource(:file, 'DIR/a') { content 'y' }
#= file[DIR/a] create: updated
#> a y

### delete_resource
file 'DIR/a'
delete_resource(:file, 'DIR/a')
file 'DIR/b'
#= file[DIR/b] create: updated

### resources finds one
file('DIR/a') { content 'x' }
resources('file[DIR/a]').content 'z'
#> a z

### find_resource! fails for what is not there
find_resource!(:file, 'nope')
#! Cannot find a resource matching file[nope]

### what is declared while resources run comes right after
ruby_block 'declare' do
  block { Chef.run_context.recipe_for(self).file('DIR/a') }
end
file 'DIR/b'
#? file[DIR/a] create: updated
