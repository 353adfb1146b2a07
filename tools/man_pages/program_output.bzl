"""Files that a program of the project prints."""

def _program_output_impl(ctx):
    ctx.actions.run_shell(
        tools = [ctx.executable.program],
        outputs = [ctx.outputs.out],
        command = "\"$@\" >" + ctx.outputs.out.path,
        arguments = [ctx.executable.program.path] + ctx.attr.arguments,
        mnemonic = "ProgramOutput",
    )

# As a genrule, but by the program that is built anyway: a genrule's tools are compiled once more, for the build itself.
program_output = rule(
    implementation = _program_output_impl,
    attrs = {
        "program": attr.label(executable = True, cfg = "target", mandatory = True),
        "arguments": attr.string_list(),
        "out": attr.output(mandatory = True),
    },
)
