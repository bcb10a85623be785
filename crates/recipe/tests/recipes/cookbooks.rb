Cookbooks: loading, libraries, templates, files, roles, data bags.

### include_recipe, once
include_recipe 't::other'
include_recipe '::other'
puts 'default'
#@ cookbooks/t/recipes/other.rb
puts 'other'
#< other
#< default

### include_recipe of another cookbook
include_recipe 'u'
#@ cookbooks/u/recipes/default.rb
puts "#{cookbook_name}::#{recipe_name}"
#< u::default

### include_recipe of what is not there
include_recipe 't::othr'
#@ cookbooks/t/recipes/other.rb
#! cookbook `t` has no recipe `othr`; did you mean `other`?

### a cookbook that is not there
include_recipe 'tt'
#! there is no cookbook `tt`

### a dependency that is not there
#@ cookbooks/t/metadata.rb
depends 'gone'
#! there is no cookbook `gone`
#! cookbook `t` depends on it

### dependencies in a circle
#@ cookbooks/t/metadata.rb
depends 'u'
#@ cookbooks/u/metadata.rb
depends 't'
#! cookbooks depend on each other: t -> u -> t

### a version that is too old
#@ cookbooks/t/metadata.rb
depends 'u', '~> 2.0'
#@ cookbooks/u/metadata.rb
version '1.0.0'
#! cookbook `t` depends on `u` (~> 2.0), and there is version 1.0.0

### metadata reads files beside it
puts run_context.cookbooks['t'].metadata.long_description
#@ cookbooks/t/metadata.rb
name 't'
long_description IO.read(File.join(File.dirname(__FILE__), 'README.md'))
chef_version '>= 15'
supports 'ubuntu'
#@ cookbooks/t/README.md
read me
#< read me

### only what is reachable is loaded
puts 'fine'
#@ cookbooks/broken/libraries/default.rb
raise 'loaded'
#@ cookbooks/broken/attributes/default.rb
def (
#< fine

### a role with a syntax error that nobody uses
puts 'fine'
#@ roles/broken.rb
name 'x' (
#< fine

### libraries with modules
puts Tools.hello, help
#@ cookbooks/t/libraries/tools.rb
module Tools
  def self.hello = 'hello'
  def help = "help of #{node['platform']}"
end
Chef::Recipe.include(Tools)
#< hello
#< help of ubuntu

### libraries with helpers for resources
file 'DIR/a' do
  content help
end
#@ cookbooks/t/libraries/tools.rb
module Tools
  def help = 'help'
end
Chef::Resource.send(:include, Tools)
#> a help

### libraries with functions at the top
puts function(1)
#@ cookbooks/t/libraries/tools.rb
def function(x)
  x + 1
end
#< 2

### libraries are loaded before attributes
puts node['x']
#@ cookbooks/t/libraries/a.rb
module A; VALUE = 5; end
#@ cookbooks/t/attributes/default.rb
default['x'] = A::VALUE
#< 5

### a library that requires what Chef has
puts 'loaded'
#@ cookbooks/t/libraries/a.rb
require 'chef/mixin/shell_out'
require 'mixlib/shellout'
require 'chef/resource'
require 'json'
require 'net/http'
require 'uri'
require 'socket'
#< loaded

### constants of two recipes do not collide
VERSION = 1
include_recipe 't::other'
puts VERSION
#@ cookbooks/t/recipes/other.rb
VERSION = 2
puts VERSION
#< 2
#< 1

### string literals can be changed
text = 'a'
text << 'b'
puts text
#< ab

### a class is opened again in a recipe
class ::Chef::Resource
  def greeting = 'hi'
end
file 'DIR/a' do
  content greeting
end
#> a hi

### templates
template 'DIR/a' do
  source 'a.erb'
  variables(who: 'world')
end
#@ cookbooks/t/templates/default/a.erb
hello <%= @who %> on <%= node['platform'] %>/<%= @node[:hostname] %>
#> a hello world on ubuntu/node1\n
#= template[DIR/a] create: updated

### a template's source is its name
template 'DIR/a.conf'
#@ cookbooks/t/templates/a.conf.erb
x
#> a.conf x\n

### trim modes
template('DIR/a') { source 'a.erb' }
#@ cookbooks/t/templates/default/a.erb
<% [1, 2].each do |x| -%>
<%= x %>
<% end -%>
<%- if true -%>
yes
<%- end -%>
<%# comment -%>
#> a 1\n2\nyes\n

### template variables are lazy
value = 1
ruby_block('set') { block { value = 2 } }
template 'DIR/a' do
  source 'a.erb'
  variables lazy { { value: value } }
end
#@ cookbooks/t/templates/default/a.erb
<%= @value %>
#> a 2\n

### a template that raises shows its line
template('DIR/a') { source 'a.erb' }
#@ cookbooks/t/templates/default/a.erb
one
two
<%= nil.upcase %>
four
#! undefined method 'upcase' for nil
#! on line 3
#! >   3: <%= nil.upcase %>

### templates of platforms
template('DIR/a') { source 'a.erb' }
#@ cookbooks/t/templates/default/a.erb
default
#@ cookbooks/t/templates/ubuntu-22.04/a.erb
jammy
#@ cookbooks/t/templates/ubuntu/a.erb
ubuntu
#> a jammy\n

### templates of a host
template('DIR/a') { source 'a.erb' }
#@ cookbooks/t/templates/host-node1.example.com/a.erb
mine
#@ cookbooks/t/templates/default/a.erb
default
#> a mine\n

### templates in folders
template('DIR/a') { source 'conf/a.erb' }
#@ cookbooks/t/templates/conf/a.erb
conf
#> a conf\n

### a template that is rendered twice, with a constant and a local variable of its own
%w[a b].each do |name|
  template "DIR/#{name}" do
    source 'twice.erb'
    variables(name: name)
  end
end
#@ cookbooks/t/templates/twice.erb
<% WIDTH = 2 unless self.class.const_defined?(:WIDTH) -%>
<% seen = defined?(seen) && seen ? 'again' : 'first' -%>
<% def shout(text) = text.upcase -%>
<%= shout(@name) * WIDTH %> <%= seen %> <%= Log.name %>
#> a AA first Chef::Log\n
#> b BB first Chef::Log\n

### a template of another cookbook
template 'DIR/a' do
  source 'a.erb'
  cookbook 'u'
end
#@ cookbooks/u/templates/default/a.erb
of u
#> a of u\n

### a template that is not there
template('DIR/a') { source 'b.erb' }
#@ cookbooks/t/templates/default/a.erb
#! cookbook `t` has no template `b.erb`
#! did you mean `a.erb`?

### partials
template 'DIR/a' do
  source 'a.erb'
  variables(x: 1)
end
#@ cookbooks/t/templates/default/a.erb
<%= render 'part.erb', variables: { y: 2 } %><%= render 'same.erb' %>
#@ cookbooks/t/templates/default/part.erb
y=<%= @y %>
#@ cookbooks/t/templates/default/same.erb
x=<%= @x %>
#> a y=2\nx=1\n\n

### helpers of templates
template 'DIR/a' do
  source 'a.erb'
  helper(:twice) { |x| x * 2 }
  helpers(Help)
  helpers do
    def thrice(x) = x * 3
  end
end
#@ cookbooks/t/libraries/help.rb
module Help
  def once(x) = x
end
#@ cookbooks/t/templates/default/a.erb
<%= once(1) %> <%= twice(1) %> <%= thrice(1) %>
#> a 1 2 3\n

### a local template
template 'DIR/a' do
  source 'DIR/local.erb'
  local true
end
#@ local.erb
<%= 1 + 1 %>
#> a 2\n

### template create_if_missing
template 'DIR/a' do
  source 'a.erb'
  action :create_if_missing
end
#@ a
old
#@ cookbooks/t/templates/default/a.erb
<%= raise 'rendered' %>
#= template[DIR/a] create_if_missing: up to date
#> a old\n

### files of cookbooks
cookbook_file 'DIR/a' do
  source 'sub/a.txt'
  mode '0600'
end
cookbook_file 'DIR/b.txt'
#@ cookbooks/t/files/default/sub/a.txt
one
#@ cookbooks/t/files/b.txt
two
#> a one\n
#> b.txt two\n

### a list of sources takes the first that is there
cookbook_file('DIR/a') { source ['none', 'a.txt'] }
#@ cookbooks/t/files/default/a.txt
one
#> a one\n

### a file that is not there
cookbook_file('DIR/a') { source 'none' }
#! cookbook `t` has no file `none`

### remote_directory
remote_directory 'DIR/hooks' do
  source 'hooks'
  files_mode '0755'
end
#@ cookbooks/t/files/default/hooks/one.sh
1
#@ cookbooks/t/files/default/hooks/sub/two.sh
2
#> hooks/one.sh 1\n
#> hooks/sub/two.sh 2\n

### roles are looked up by the names of their files
puts 'ran'
#list role[file_role]
#@ roles/file_role.rb
name 'other_name'
description 'x'
run_list('recipe[t]')
#< ran

### roles within roles, in order
puts 'default'
#list role[outer], recipe[t::last]
#@ roles/outer.rb
run_list 'role[inner]', 'recipe[t]'
#@ roles/inner.rb
run_list 'recipe[t::first]'
#@ cookbooks/t/recipes/first.rb
puts 'first'
#@ cookbooks/t/recipes/last.rb
puts 'last'
#< first
#< default
#< last

### a role that is not there
#list role[gne]
#@ roles/gone.rb
#! there is no role `gne`
#! did you mean `gone`?

### an item of a run list that is none
#list recepie[t]
#! is no item of a run list

### a role of JSON
puts node['t']['a']
#list role[r]
#@ roles/r.json
{"name": "r", "default_attributes": {"t": {"a": 1}}, "run_list": ["recipe[t]"]}
#< 1

### data bags
puts data_bag('users').inspect
puts data_bag_item('users', 'jo')['shell'], data_bag_item(:users, :jo)[:shell]
#@ data_bags/users/jo.json
{"id": "jo", "shell": "/bin/sh"}
#@ data_bags/users/al.json
{"id": "al"}
#< ["al", "jo"]
#< /bin/sh
#< /bin/sh

### a data bag that is not there is empty
puts data_bag('none').inspect
#< []

### an item that is not there is an error
data_bag_item('users', 'no')
#! there is no item `no` in data bag `users`

### search in data bags
puts search(:users, 'shell:/bin/*').map { |user| user['id'] }.inspect
puts search('users', 'id:al OR id:jo').size, search(:users).size
#@ data_bags/users/jo.json
{"id": "jo", "shell": "/bin/sh"}
#@ data_bags/users/al.json
{"id": "al", "shell": "/sbin/nologin"}
#< ["jo"]
#< 2
#< 2

### hidden files are no recipes
puts run_context.cookbooks['t'].recipes.inspect
#@ cookbooks/t/recipes/.#x.rb
raise
#< ["t::default"]

### recipe.rb at the top is the default recipe
include_recipe 'u'
#@ cookbooks/u/recipe.rb
puts 'top'
#< top

### attributes.rb at the top
puts node['u']
include_recipe 'u'
puts node['u']
#@ cookbooks/u/recipes/default.rb
#@ cookbooks/u/attributes.rb
default['u'] = 1
#< 
#< 1

### a cookbook by the name in its metadata
include_recipe 'named'
#@ cookbooks/folder/metadata.rb
name 'named'
#@ cookbooks/folder/recipes/default.rb
puts 'named'
#< named

### a library with a syntax error has its place
#@ cookbooks/t/libraries/a.rb
def x(
#! DIR/cookbooks/t/libraries/a.rb:

### an attribute file that raises has its place
#@ cookbooks/t/attributes/default.rb

default['x'] = nope
#! DIR/cookbooks/t/attributes/default.rb:2
