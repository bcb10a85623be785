# frozen_string_literal: true

# Resources that act in Ruby by their nature, and those of CycleCloud that put others together.
class Chef
  class Resource
    # Runs a block.
    class RubyBlock
      def block(&block) = block ? @block = block : @block

      class Actions < Provider
        def action_run = converge_by("execute the ruby block #{new_resource.name}") { new_resource.block&.call }
        alias action_create action_run
      end
      self.provider_class = Actions
    end

    # Facts, collected again.
    class Ohai
      def applied(result)
        Chef.node.automatic.update(Jetpack.call('facts')) if result && result['reload']
      end
    end

    # What it asks for is kept by the host; nothing of the run comes after a reboot that is to come now.
    class Reboot
      def applied(result)
        exit(0) if result && result['reboot'] == 'reboot_now'
      end
    end

    # A mount of `cyclecloud.mounts`. Libraries ask the run which device it has.
    class CyclecloudMount
      def applied(_result)
        section = Mash.new((configuration || {}).to_h)
        mountpoint = section['mountpoint'].to_s
        return if mountpoint.empty? || Chef::Config[:why_run]

        found = Mixlib::ShellOut.new('findmnt', '--noheadings', '--first-only', '--output', 'SOURCE', '--mountpoint', mountpoint).run_command
        mounts = Chef.node.run_state[:mounts] ||= Mash.new
        mounts[name] = section.merge('device' => found.stdout.strip) if found.exitstatus.zero?
      end
    end

    # A file from storage, below `node['thunderball']['storedir']`: `url` is whole, or a path below the base of a `thunderball_config`.
    class Thunderball < Resource
      provides :thunderball
      allowed_actions :fetch
      default_action :fetch
      property :url, String, name_property: true
      property :dest_file, String
      property :storedir, String
      property :checksum, String
      property :client, String
      property :config, [String, Symbol], default: 'default'

      action :fetch do
        base = (node.run_state[:thunderball] || {})[new_resource.config.to_s] || {}
        whole = new_resource.url.match?(%r{\A(https?|file)://})
        if !whole && base['base'].to_s.empty?
          raise Chef::Exceptions::ValidationFailed, "#{new_resource}: `#{new_resource.url}` is no whole URL, and no `thunderball_config` has a base"
        end
        source = whole ? new_resource.url : "#{base['base'].chomp('/')}/#{new_resource.url.delete_prefix('/')}"
        path = whole ? URI(new_resource.url).path : new_resource.url
        target = new_resource.dest_file || ::File.join(new_resource.storedir || node['thunderball']['storedir'], path)
        directory(::File.dirname(target)) { recursive true }
        remote_file target do
          source source
          checksum new_resource.checksum if new_resource.checksum
          headers('Authorization' => "Basic #{["#{base['username']}:#{base['password']}"].pack('m0')}") if base['username']
          action new_resource.checksum ? :create : :create_if_missing
        end
      end
    end

    # Where `thunderball` gets its files.
    class ThunderballConfig < Resource
      provides :thunderball_config
      allowed_actions :create
      default_action :create
      property :base, String, required: true
      property :username, String
      property :password, String, sensitive: true

      action :create do
        configs = node.run_state[:thunderball] ||= {}
        configs[new_resource.name] = { 'base' => new_resource.base, 'username' => new_resource.username, 'password' => new_resource.password }
      end
    end

    # Recipe code that is evaluated when everything else is done, cluster-init scripts among it.
    class DeferBlock < Resource
      provides :defer_block
      allowed_actions :run
      default_action :run

      # The body is no block of properties: it is kept.
      def evaluate(&block) = @body = block
      attr_reader :body

      class Actions < Provider
        def action_run = Chef.run_context.defer(new_resource)
      end
      self.provider_class = Actions
    end

    # A line in the log of the node, which the server shows.
    class JetpackLog < Resource
      provides :jetpack_log
      allowed_actions :log
      default_action :log
      property :message, String, name_property: true
      property :level, [String, Symbol], default: 'info'
      property :priority, [String, Symbol]

      class Actions < Provider
        def action_log
          return if whyrun_mode?

          priority = new_resource.priority ? ['--priority', new_resource.priority.to_s] : []
          # A text may begin with a dash.
          shell_out!(Chef::Config[:jetpack], 'log', '--level', new_resource.level.to_s, *priority, '--', new_resource.message)
        end
      end
      self.provider_class = Actions
    end

    # A blob of a project.
    class JetpackDownload < Resource
      provides :jetpack_download
      allowed_actions :download
      default_action :download
      property :file, String, name_property: true
      property :project, String, required: true
      property :dest, String
      property :thunderball_url, String

      class Actions < Provider
        def action_download
          target = new_resource.dest || node['jetpack']['downloads']
          into = new_resource.dest.nil? || target.end_with?('/') || ::File.directory?(target)
          target = ::File.join(target, ::File.basename(new_resource.file)) if into
          return if ::File.exist?(target)

          converge_by("download #{new_resource.file} of project #{new_resource.project} to #{target}") do
            FileUtils.mkdir_p(::File.dirname(target))
            shell_out!(Chef::Config[:jetpack], 'download', '--project', new_resource.project, new_resource.file, target, timeout: 3600)
          end
        end
      end
      self.provider_class = Actions
    end

    # A message for those who listen to the exchange of custom messages.
    class JetpackSend < Resource
      provides :jetpack_send
      allowed_actions :send
      default_action :send
      property :message, String, name_property: true
      property :file, String
      property :routing_key, String

      class Actions < Provider
        def action_send
          converge_by("send #{new_resource.file || new_resource.message}") do
            key = new_resource.routing_key ? ['--routing-key', new_resource.routing_key] : []
            what = new_resource.file ? ['--file', new_resource.file] : ['--', new_resource.message]
            shell_out!(Chef::Config[:jetpack], 'send', *key, *what)
          end
        end
      end
      self.provider_class = Actions
    end
  end
end
