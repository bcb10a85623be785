What public projects do, by the survey.

### a class of a resource is opened again
s = service('x') { action :nothing }
puts s.pidfile_running?
#@ cookbooks/t/libraries/default.rb
class Chef
  class Resource
    class Service
      def pidfile_running? = 'asked'
    end
  end
end
#< asked

### the cluster where old libraries look for it
puts Chef::Recipe.class_variable_get(:@@cluster).search.inspect
#< []

### a subclass of a script
t_shell 'x' do
  code 'echo sub > DIR/a'
end
#@ cookbooks/t/libraries/shell.rb
class TShell < Chef::Resource::Script
  provides :t_shell
  property :interpreter, String, default: 'sh'
end
#once
#> a sub\n

### a provider by its constant
p = package('x') { provider Chef::Provider::Package::Rpm; action :nothing }
puts p.kind_for_host
#< rpm_package

### an action as a text
file('DIR/a') { action 'create' }
#= file[DIR/a] create: updated

### packages in a list
p = package(%w[a b]) { action :nothing }
puts p, p.package_name.inspect
#< package[a, b]
#< ["a", "b"]

### fetch with defaults, chained
puts node.fetch(:a, {}).fetch(:b, 'none')
#< none

### a version is compared as a text
puts node[:platform_version] < '8'
#< true

### a role's attributes in its own file, with parentheses
puts node['slurm']['role']
#list role[s]
#@ roles/s.rb
name "s"
run_list("recipe[t]")
default_attributes("slurm" => { "role" => "scheduler" }, "cyclecloud" => { "discoverable" => true })
#< scheduler

### a recipe that leaves early, in a loop
%w[a b].each do |x|
  return if x == 'b'
  puts x
end
#< a

### state in ruby_blocks that lazy reads
host = nil
ruby_block('x') { block { host = 'found' } }
template 'DIR/a' do
  source 'a.erb'
  variables lazy { { host: host } }
end
#@ cookbooks/t/templates/default/a.erb
<%= @host %>
#> a found\n

### returns from methods of libraries with retries
puts T.helper
#@ cookbooks/t/libraries/default.rb
require 'chef/mixin/shell_out'
class T
  extend Chef::Mixin::ShellOut
  def self.helper = shell_out('echo library').stdout.strip
end
#< library

### modes of all forms
{ a: '0755', b: 0o755, c: 00755, d: '755' }.each { |name, m| file("DIR/#{name}") { mode m } }
ruby_block('x') { block { puts %w[a b c d].map { |f| File.stat("DIR/#{f}").mode.to_s(8) }.uniq.inspect } }
#< ["100755"]
